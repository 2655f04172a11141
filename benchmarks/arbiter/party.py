"""One process of the benchmark: a party that keeps writing letters, or only takes them.

    python -m benchmarks.arbiter.party PART.json COUNTS.json

Between the party and the wire everything is the product's: courier, party, host, MQTT. Only the
machine is ours, and it wants nothing but letters: it has sixteen in hand for every receiver and
adds one for each that is confirmed, so that the receiver's queue is never empty.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import attrs
from attrs import field, frozen

from benchmarks.arbiter.part import Part
from benchmarks.arbiter.sampler import FLEET, Sample, Sampler
from runtime.broker_url import BrokerUrl
from runtime.clock import WallClock
from runtime.effects import Halt
from runtime.events import Started, StopAsked
from runtime.exits import Exit
from runtime.frames import Session
from runtime.host import Host
from runtime.ids import COORDINATOR, DeviceId
from runtime.letters import AttemptKey, RoundResult
from runtime.machine_effects import Announce, Cap, MachineEffect, OpenSession, Send, Weigh
from runtime.machine_events import Delivered, MachineEvent, Seen
from runtime.parent_watch import end_with_parent
from runtime.party import Party
from runtime.presence import CoordinatorPresence, DevicePresence, Presence
from runtime.tensors import PackedTensor
from runtime.transfers.courier import Courier, CourierLimits
from runtime.transport.mqtt import MqttTransport
from runtime.wire import decode_json, encode_json

_LETTERS_IN_HAND = 16
_LETTER_BYTES = 1_000_000
_INCARNATION = 1
_SPARE_S = 1.0
"""The first bytes reach their receiver later than the coordinator hears of them."""


@frozen
class Counts:
    """What a party received."""

    samples: tuple[Sample, ...]


@frozen
class _Writer:
    part: Part
    letter: RoundResult
    met: frozenset[DeviceId] = field(default=frozenset())


def _react(state: _Writer, event: MachineEvent, now: float) -> tuple[_Writer, list[MachineEffect]]:
    match event:
        case Started():
            return state, [Announce(_birth(state.part))]
        case Seen(DevicePresence(peer)) if state.part.is_coordinator:
            return _meet(state, peer)
        case Seen(CoordinatorPresence()) if not state.part.is_coordinator:
            return _meet(state, COORDINATOR)
        case Delivered(peer):
            return state, [Send(peer, state.letter)]
        case StopAsked():
            return state, [Halt(Exit.OK, "the case is over")]
    return state, []


def _meet(state: _Writer, peer: DeviceId) -> tuple[_Writer, list[MachineEffect]]:
    if peer in state.met:
        return state, []
    effects: list[MachineEffect] = [OpenSession(peer, Session(_INCARNATION, _INCARNATION))]
    for one in state.part.peers:
        if one.name == peer:
            effects.append(Weigh(peer, one.weight, one.weight))
            effects.append(Cap(peer, one.cap_bytes_per_s, one.cap_bytes_per_s))
    if peer in state.part.receivers:
        effects += [Send(peer, state.letter)] * _LETTERS_IN_HAND
    return attrs.evolve(state, met=state.met | {peer}), effects


def _birth(part: Part) -> Presence:
    if part.is_coordinator:
        return CoordinatorPresence(_INCARNATION, "online")
    return DevicePresence(part.name, _INCARNATION, "online")


class _Idle:
    """Nobody computes anything, and nothing is recorded."""

    def submit(self, task: Any) -> None:
        raise AssertionError(task)

    def stop(self) -> None:
        pass

    def append(self, stream: str, entry: dict[str, Any]) -> None:
        pass


def take_part(part: Part) -> Counts:
    """Plays a party until it is stopped, or, as the coordinator, until its time is over."""
    clock = WallClock()
    waited_for = set(part.busy)

    def begun(device: DeviceId) -> None:
        waited_for.discard(device)
        if part.is_coordinator and not waited_for:
            ends_s = clock.now() + part.seconds + _SPARE_S
            clock.post(lambda: clock.call_at(ends_s, host.ask_to_stop))

    limits = CourierLimits(
        uplink_bytes_per_s=part.sends_bytes_per_s, downlink_bytes_per_s=part.takes_bytes_per_s
    )
    sampler = Sampler(MqttTransport(BrokerUrl.parse(part.broker), f"arbiter-{part.name}"), begun)
    host = Host(
        Party(_react, _Writer(part, _letter()), FLEET, part.name, Courier(limits)),
        transport=sampler,
        clock=clock,
        records=_Idle(),
        make_worker=lambda _tell: _Idle(),
        ended=lambda _halt: clock.stop(),
    )
    signal.signal(signal.SIGTERM, lambda *_: host.ask_to_stop())
    end_with_parent(host.ask_to_stop)
    host.start(encode_json(attrs.evolve(_birth(part), status="lost")))
    clock.run()
    return Counts(tuple(sampler.samples))


def _letter() -> RoundResult:
    body = PackedTensor("u8", (_LETTER_BYTES,), os.urandom(_LETTER_BYTES))
    return RoundResult("arbiter", AttemptKey(1, 1), 1, {"bulk": body})


def main() -> None:
    """Reads a part, plays it, and writes what was counted."""
    told, counted = map(Path, sys.argv[1:])
    counts = take_part(decode_json(Part, told.read_bytes()).value)
    counted.write_bytes(encode_json(counts))


if __name__ == "__main__":
    main()
