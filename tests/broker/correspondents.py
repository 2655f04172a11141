"""Two parties that only write letters: transfers over a real broker, without any training."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import attrs
from attrs import define, field, frozen

from runtime.broker_url import BrokerUrl
from runtime.clock import WallClock
from runtime.effects import Halt
from runtime.events import Finished, HostEvent, Started
from runtime.exits import Exit
from runtime.frames import Session
from runtime.host import Host
from runtime.ids import COORDINATOR, DeviceId
from runtime.letters import Letter
from runtime.machine_effects import Announce, MachineEffect, OpenSession, Send
from runtime.machine_events import LinkUp, MachineEvent, Received, Seen
from runtime.party import Party
from runtime.presence import CoordinatorPresence, DevicePresence, Presence
from runtime.topics import Fleet
from runtime.transfers.courier import Courier, CourierLimits
from runtime.transport.mqtt import MqttTransport
from runtime.wire import encode_json

FLEET = Fleet("letters")


@frozen
class Write:
    """Told to a correspondent as a finished task: send this."""

    peer: DeviceId
    letter: Letter


@frozen
class _State:
    birth: Presence
    tell: Callable[[float, Received], None]
    links: int = 0


def _react(state: _State, event: MachineEvent, now: float) -> tuple[_State, list[MachineEffect]]:
    match event:
        case Started():
            return state, [Announce(state.birth)]
        case LinkUp():
            return attrs.evolve(state, links=state.links + 1), []
        case Seen(CoordinatorPresence() as seen) if isinstance(state.birth, DevicePresence):
            session = Session(seen.incarnation, state.birth.incarnation)
            return state, [OpenSession(COORDINATOR, session)]
        case Seen(DevicePresence() as seen) if isinstance(state.birth, CoordinatorPresence):
            session = Session(state.birth.incarnation, seen.incarnation)
            return state, [OpenSession(seen.device, session)]
        case Finished(Write(peer, letter)):
            return state, [Send(peer, letter)]
        case Received():
            state.tell(now, event)
    return state, []


class _Worker:
    """Correspondents compute nothing."""

    def submit(self, task: Any) -> None:
        raise AssertionError(task)

    def stop(self) -> None:
        pass


class _Records:
    def append(self, stream: str, entry: dict[str, Any]) -> None:
        pass


@define(slots=False)
class Correspondent:
    """A party on a thread of its own. `arrived` holds (time, letter) in order of arrival."""

    url: BrokerUrl
    name: DeviceId
    keepalive_s: int = 10
    arrived: list[tuple[float, Received]] = field(factory=list)
    changed: threading.Condition = field(factory=threading.Condition)
    clock: WallClock = field(factory=WallClock)

    def __enter__(self) -> Correspondent:
        birth: Presence = (
            CoordinatorPresence(1, "online")
            if self.name == COORDINATOR
            else DevicePresence(self.name, 1, "online")
        )
        state = _State(birth, self._note)
        self.party = Party(_react, state, FLEET, self.name, Courier(CourierLimits()))
        self.transport = MqttTransport(
            self.url, f"letters-{self.name}", keepalive_s=self.keepalive_s
        )
        self.host = Host(
            self.party,
            transport=self.transport,
            clock=self.clock,
            records=_Records(),
            make_worker=lambda tell: _Worker(),
            ended=lambda halt: self.clock.stop(),
        )
        self.host.start(encode_json(attrs.evolve(birth, status="lost")))
        self.thread = threading.Thread(target=self.clock.run, name=self.name, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.clock.post(lambda: self.host._halt(Halt(Exit.OK, "the test is over")))
        self.thread.join(10)

    @property
    def links(self) -> int:
        """How often the connection came up."""
        return self.party.state.links

    def write(self, peer: DeviceId, letter: Letter) -> None:
        """Sends a letter; any thread may call it."""
        event: HostEvent = Finished(Write(peer, letter), None)
        self.host.post(event)

    def wait_for(self, count: int, patience_s: float) -> None:
        """Waits until `count` letters have arrived."""
        with self.changed:
            enough = self.changed.wait_for(lambda: len(self.arrived) >= count, patience_s)
        assert enough, f"{self.name} got {len(self.arrived)} of {count} letters"

    def _note(self, now: float, received: Received) -> None:
        with self.changed:
            self.arrived.append((now, received))
            self.changed.notify_all()
