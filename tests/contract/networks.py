"""One broker and the parties on it, for every implementation of the Transport seam."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from attrs import evolve

from coordinator.broker import EmbeddedBroker
from coordinator.broker.embedded import Kind
from coordinator.rehearsal.link_proxy import LinkProxy
from runtime.broker_url import BrokerUrl
from runtime.transport.base import (
    Arrived,
    Down,
    Flushed,
    Transport,
    TransportEvent,
    Up,
    Will,
)
from runtime.transport.memory import MemoryBroker, MemoryTransport
from runtime.transport.mqtt import MqttTransport
from runtime.virtual import VirtualClock

_PATIENCE_S = 15.0


class Party:
    """A transport and what it told, in order; counts what a listener must never see."""

    def __init__(self, name: str, transport: Transport) -> None:
        self.name = name
        self.transport = transport
        self.events: list[TransportEvent] = []
        self.inside_a_call = 0
        self.at_the_same_time = 0
        self._owner = threading.get_ident()
        self._calling = False
        self._telling = threading.Lock()

    def start(self, *subscriptions: str) -> None:
        self._call(self.transport.start, self._hear, subscriptions, self.will)

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        expiry_s: int | None = None,
    ) -> None:
        self._call(
            self.transport.publish, topic, payload, qos=qos, retain=retain, expiry_s=expiry_s
        )

    def stop(self) -> None:
        self._call(self.transport.stop)

    @property
    def will(self) -> Will:
        return Will(f"wills/{self.name}", b"gone: " + self.name.encode())

    @property
    def arrived(self) -> list[Arrived]:
        return [event for event in self.events if isinstance(event, Arrived)]

    @property
    def payloads(self) -> list[bytes]:
        return [event.payload for event in self.arrived]

    @property
    def flushed_bytes(self) -> list[int]:
        return sorted(event.size_bytes for event in self.events if isinstance(event, Flushed))

    @property
    def ups(self) -> int:
        return sum(isinstance(event, Up) for event in self.events)

    @property
    def downs(self) -> list[str]:
        return [event.reason for event in self.events if isinstance(event, Down)]

    def _call(self, method: Callable[..., None], *arguments: Any, **options: Any) -> None:
        self._calling = True
        try:
            method(*arguments, **options)
        finally:
            self._calling = False

    def _hear(self, event: TransportEvent) -> None:
        if self._calling and threading.get_ident() == self._owner:
            self.inside_a_call += 1
        if not self._telling.acquire(blocking=False):
            self.at_the_same_time += 1
            return
        self.events.append(event)
        self._telling.release()


class Network(Protocol):
    """A broker, the parties it knows, and accidents."""

    def party(self, name: str) -> Party:
        """A party that has not been started."""

    def wait_until(self, predicate: Callable[[], bool]) -> None:
        """Lets time pass until the predicate holds; fails when it does not come to hold."""

    def vanish(self, party: Party) -> None:
        """Breaks a party's connection as if its process were killed."""

    def interrupt(self, *parties: Party) -> None:
        """Breaks the connections of these parties for a moment; they come back by themselves."""


class MemoryNetwork:
    """In memory, on a virtual clock."""

    def __init__(self) -> None:
        self._clock = VirtualClock()
        self._broker = MemoryBroker(self._clock)

    def party(self, name: str) -> Party:
        return Party(name, self._broker.connect())

    def wait_until(self, predicate: Callable[[], bool]) -> None:
        deadline_s = self._clock.now() + _PATIENCE_S
        while not predicate():
            assert self._clock.step(), "nothing will happen any more, and it has not come about"
            assert self._clock.now() < deadline_s, "it has not come about"

    def vanish(self, party: Party) -> None:
        _of_memory(party).vanish()

    def interrupt(self, *parties: Party) -> None:
        for party in parties:
            _of_memory(party).interrupt(1.0)


class BrokerNetwork:
    """A broker's process, and a proxy in front of it for each party."""

    def __init__(self, kind: Kind, work_dir: Path) -> None:
        self.broker = EmbeddedBroker(kind, work_dir)
        self._proxies: dict[str, LinkProxy] = {}
        self._parties: list[Party] = []
        self._stack = ExitStack()

    def party(self, name: str) -> Party:
        proxy = self._stack.enter_context(LinkProxy(self.broker.port))
        url = evolve(BrokerUrl.parse(self.broker.url), port=proxy.port)
        party = Party(name, MqttTransport(url, name))
        self._proxies[name] = proxy
        self._parties.append(party)
        return party

    def wait_until(self, predicate: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + _PATIENCE_S
        while not predicate():
            assert time.monotonic() < deadline_s, "it has not come about"
            time.sleep(0.002)

    def vanish(self, party: Party) -> None:
        self._proxies[party.name].reset()

    def interrupt(self, *parties: Party) -> None:
        for party in parties:
            self._proxies[party.name].reset()

    def __enter__(self) -> BrokerNetwork:
        self._stack.enter_context(self.broker)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for party in self._parties:
            party.stop()
        self._stack.close()


def _of_memory(party: Party) -> MemoryTransport:
    assert isinstance(party.transport, MemoryTransport)
    return party.transport
