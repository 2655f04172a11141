"""The Transport's twin for the virtual world: a broker in memory, with weather.

The broker does what EdgeSplit asks of MQTT: topics with `+` and `#`, retained payloads, wills.
Its `Weather` decides for every delivery whether it is lost, repeated or late.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from attrs import field, frozen, validators

from runtime.clock import Clock
from runtime.transport.base import Arrived, Down, Flushed, Listener, TransportEvent, Up, Will

_share = (validators.ge(0.0), validators.le(1.0))


@frozen
class Weather:
    """What happens to deliveries. The default is a perfect network with 1 ms of delay."""

    drop: float = field(default=0.0, validator=_share)
    duplicate: float = field(default=0.0, validator=_share)
    delay_s: tuple[float, float] = (0.001, 0.001)
    """Each delivery is late by a time drawn from this range, so a wide one reorders."""


class MemoryBroker:
    """Delivers between the transports made by `connect`, on one clock."""

    def __init__(self, clock: Clock, weather: Weather | None = None, seed: int = 0) -> None:
        self._clock = clock
        self._weather = weather or Weather()
        self._random = random.Random(seed)
        self._retained: dict[str, bytes] = {}
        self._members: list[MemoryTransport] = []
        self.delivered = 0

    def connect(self) -> MemoryTransport:
        """Returns a transport of this broker, not yet started."""
        return MemoryTransport(self)

    def _later(self, action: Callable[[], None]) -> None:
        delay_s = self._random.uniform(*self._weather.delay_s)
        self._clock.call_at(self._clock.now() + delay_s, action)

    def _join(self, member: MemoryTransport) -> None:
        self._members.append(member)
        member._tell_later(Up())
        for topic, payload in self._retained.items():
            if member._wants(topic):
                member._tell_later(Arrived(topic, payload, retained=True))

    def _leave(self, member: MemoryTransport) -> None:
        if member in self._members:
            self._members.remove(member)

    def _publish(self, topic: str, payload: bytes, retain: bool) -> None:
        if retain and payload:
            self._retained[topic] = payload
        elif retain:
            self._retained.pop(topic, None)
        for member in self._members:
            if member._wants(topic):
                self._deliver(member, Arrived(topic, payload))

    def _deliver(self, member: MemoryTransport, event: Arrived) -> None:
        # Two draws for every delivery, whatever they decide: a schedule that a test changes in
        # one place then stays the same in all others.
        lost = self._random.random() < self._weather.drop
        twice = self._random.random() < self._weather.duplicate
        for _ in range(0 if lost else 2 if twice else 1):
            self.delivered += 1
            member._tell_later(event)


class MemoryTransport:
    """One party's connection to a `MemoryBroker`."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._listener: Listener | None = None
        self._filters: tuple[list[str], ...] = ()
        self._will: Will | None = None
        self._life = 0
        self._known: dict[str, bool] = {}

    def start(self, listener: Listener, subscriptions: tuple[str, ...], will: Will) -> None:
        self._listener, self._will = listener, will
        self._filters = tuple(subscription.split("/") for subscription in subscriptions)
        self._broker._join(self)

    def publish(
        self, topic: str, payload: bytes, *, qos: int, retain: bool, expiry_s: int | None
    ) -> None:
        # Told also when the connection is lost meanwhile, as the contract says.
        self._tell_later(Flushed(len(payload)), always=True)
        if self in self._broker._members:
            self._broker._publish(topic, payload, retain)

    def stop(self) -> None:
        self._life += 1
        self._broker._leave(self)
        self._listener = None

    def vanish(self) -> None:
        """Goes without a word, as a process that was killed: the broker publishes the will."""
        will = self._will
        self.stop()
        if will is not None:
            self._broker._publish(will.topic, will.payload, retain=True)
        self._will = None

    def interrupt(self, outage_s: float, reason: str = "link lost") -> None:
        """Loses the connection and everything under way; comes back after `outage_s`."""
        if self._listener is None:
            return
        self._life += 1
        self._broker._leave(self)
        self._tell_later(Down(reason))
        clock = self._broker._clock
        clock.call_at(clock.now() + outage_s, lambda: self._rejoin(self._life))

    def _rejoin(self, life: int) -> None:
        if self._listener is not None and self not in self._broker._members:
            self._broker._join(self)

    def _wants(self, topic: str) -> bool:
        if topic not in self._known:
            levels = topic.split("/")
            self._known[topic] = any(_matches(filter, levels) for filter in self._filters)
        return self._known[topic]

    def _tell_later(self, event: TransportEvent, *, always: bool = False) -> None:
        life = self._life

        def tell() -> None:
            if (always or self._life == life) and self._listener is not None:
                self._listener(event)

        self._broker._later(tell)


def _matches(filter: list[str], levels: list[str]) -> bool:
    for index, part in enumerate(filter):
        if part == "#":
            return True
        if index >= len(levels) or part not in ("+", levels[index]):
            return False
    return len(filter) == len(levels)
