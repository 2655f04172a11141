"""The Transport's twin for the virtual world: a broker in memory, with weather.

The broker does what EdgeSplit asks of MQTT: topics with `+` and `#`, retained payloads, wills.
Its `Weather` decides for every delivery whether it is lost, repeated or late. A transport with
a `Link` has to get its messages to the broker and back over that link as well.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Literal

from attrs import field, frozen, validators

from runtime.clock import Clock
from runtime.transport.base import Arrived, Down, Flushed, Listener, TransportEvent, Up, Will
from runtime.transport.link_model import Link, message_bytes
from runtime.transport.topic_tree import TopicTree

Way = Literal["up", "down"]
"""From a party to the broker, and back."""
BOTH_WAYS: tuple[Way, ...] = ("up", "down")

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
        self._retained: TopicTree[Arrived] = TopicTree()
        self._subscribers: TopicTree[MemoryTransport] = TopicTree()
        self._takers: dict[str, tuple[MemoryTransport, ...]] = {}
        """By topic, until somebody joins or leaves."""
        self._members: dict[MemoryTransport, None] = {}
        """In the order of their coming."""
        self._waiting: list[Callable[[], None]] | None = None
        """Who wants to come while there is no broker."""
        self.delivered = 0

    def connect(self, link: Link | None = None) -> MemoryTransport:
        """Returns a transport, not yet started. Without a link its messages meet only weather."""
        return MemoryTransport(self, link)

    def kill(self) -> None:
        """Ends the broker as a crash would: connections and all that it kept are lost."""
        self._waiting = []
        self._retained = TopicTree()
        for member in tuple(self._members):
            member._lose("the broker is gone")

    def revive(self) -> None:
        """Starts a broker that knows nothing; everybody comes back."""
        waiting, self._waiting = self._waiting or [], None
        for come in waiting:
            come()

    def _later(self, action: Callable[[], None]) -> None:
        delay_s = self._random.uniform(*self._weather.delay_s)
        self._clock.call_at(self._clock.now() + delay_s, action)

    def _join(self, member: MemoryTransport) -> None:
        if self._waiting is not None:
            life = member._life
            self._waiting.append(lambda: member._rejoin(life))
            return
        if member in self._members:
            return
        self._members[member] = None
        self._takers.clear()
        member._tell_now(Up())
        for subscription in member._subscriptions:
            self._subscribers.at(subscription).append(member)
            for kept in self._retained.topics_matching(subscription):
                member._tell_later(kept)

    def _leave(self, member: MemoryTransport) -> None:
        if member in self._members:
            del self._members[member]
            self._takers.clear()
            for subscription in member._subscriptions:
                self._subscribers.at(subscription).remove(member)

    def _publish(self, topic: str, payload: bytes, retain: bool) -> None:
        if retain:
            self._retained.at(topic)[:] = [Arrived(topic, payload, retained=True)][: len(payload)]
        if topic not in self._takers:
            self._takers[topic] = tuple(self._subscribers.filters_matching(topic))
        for member in self._takers[topic]:
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

    def __init__(self, broker: MemoryBroker, link: Link | None = None) -> None:
        self._broker = broker
        self._link = link
        self._listener: Listener | None = None
        self._subscriptions: tuple[str, ...] = ()
        self._will: Will | None = None
        self._life = 0
        self._losses = 0
        """How often all that was on its way to the broker was lost."""
        self._held: list[Callable[[], None]] | None = None
        """What a silent link does not let pass; None while it is none."""
        self._silent_ways: frozenset[Way] = frozenset()

    def start(self, listener: Listener, subscriptions: tuple[str, ...], will: Will) -> None:
        self._listener, self._will = listener, will
        self._subscriptions = subscriptions
        self._rejoin(self._life)

    def publish(
        self, topic: str, payload: bytes, *, qos: int, retain: bool, expiry_s: int | None
    ) -> None:
        # Told also when the connection is lost meanwhile, as the contract says.
        flushed = Flushed(len(payload))
        if self._link is None or self not in self._broker._members:
            # The broker's word that it has a message comes after the message.
            self._broker._later(lambda: self._pass(lambda: self._tell(flushed), *BOTH_WAYS))
            if self in self._broker._members:
                self._pass(lambda: self._broker._publish(topic, payload, retain), "up")
        else:
            self._send(self._link, Arrived(topic, payload), retain)

    def stop(self) -> None:
        self._life += 1
        self._broker._leave(self)
        self._listener = None

    def vanish(self) -> None:
        """Goes without a word, as a process that was killed: the broker publishes the will."""
        will = self._will
        self.stop()
        self._losses += 1
        if will is not None:
            self._broker._publish(will.topic, will.payload, retain=True)
        self._will = None

    def interrupt(self, outage_s: float, reason: str = "link lost") -> None:
        """Loses the connection and everything under way; comes back after `outage_s`."""
        if self._listener is None:
            return
        clock, life = self._broker._clock, self._disconnect(reason)
        clock.call_at(clock.now() + outage_s, lambda: self._rejoin(life))

    def silence(self, patience_s: float, ways: tuple[Way, ...] = BOTH_WAYS) -> None:
        """Lets nothing pass these ways and tells nobody, until `resume`; then all of it comes.

        After `patience_s` both ends give the connection up, and what was held is lost. Nobody
        connects over a link that is silent one way.
        """
        self._silent_ways |= frozenset(ways)
        if self._held is not None:
            return
        self._held = []
        clock, life = self._broker._clock, self._life
        clock.call_at(clock.now() + patience_s, lambda: self._give_up(life))

    def resume(self) -> None:
        """Ends a `silence`; a connection that was given up comes back."""
        held, self._held = self._held or [], None
        self._silent_ways = frozenset()
        for action in held:
            self._broker._clock.post(action)
        if self not in self._broker._members:
            self._rejoin(self._life)

    def _give_up(self, life: int) -> None:
        if self._held is None or self._life != life or self not in self._broker._members:
            return
        self._disconnect("nothing was heard for too long")
        if self._will is not None:
            self._broker._publish(self._will.topic, self._will.payload, retain=True)

    def _lose(self, reason: str) -> None:
        """Loses the connection to a broker that is gone; comes back with it."""
        life = self._disconnect(reason)
        self._rejoin(life)

    def _disconnect(self, reason: str) -> int:
        """Loses the connection and everything under way; returns the number of the next one."""
        self._life += 1
        self._losses += 1
        self._broker._leave(self)
        self._tell_now(Down(reason))
        if self._held is not None:
            self._held.clear()
        if self._link is not None:
            self._link.clear(self._broker._clock.now())
        return self._life

    def _rejoin(self, life: int) -> None:
        # A silent link lets nobody come; `resume` asks again.
        if self._listener is not None and self._life == life and self._held is None:
            self._broker._join(self)

    def _pass(self, action: Callable[[], None], *ways: Way) -> None:
        """Does what the link lets pass these ways, now or when it does."""
        if self._held is None or self._silent_ways.isdisjoint(ways):
            action()
        else:
            self._held.append(action)

    def _send(self, link: Link, message: Arrived, retain: bool) -> None:
        """Brings a message to the broker over the link."""
        clock, losses = self._broker._clock, self._losses
        taken_s = link.up.carry(_size_bytes(message), clock.now())

        def arrive() -> None:
            if self._losses == losses:
                self._broker._publish(message.topic, message.payload, retain)

        flushed = Flushed(len(message.payload))
        clock.call_at(taken_s, lambda: self._pass(arrive, "up"))
        told_s = taken_s + link.back_s
        clock.call_at(told_s, lambda: self._pass(lambda: self._tell(flushed), *BOTH_WAYS))

    def _tell(self, event: TransportEvent) -> None:
        if self._listener is not None:
            self._listener(event)

    def _tell_now(self, event: TransportEvent) -> None:
        """Weather delays what travels; a connection's own ups and downs come in their order."""
        self._broker._clock.post(lambda: self._tell(event))

    def _tell_later(self, event: Arrived) -> None:
        """Delivers a message, unless this connection is lost before."""
        life = self._life

        def tell() -> None:
            if self._life == life:
                self._tell(event)

        def receive() -> None:
            if self._link is None:
                self._pass(tell, "down")
            elif self._life == life:
                clock = self._broker._clock
                comes_s = self._link.down.carry(_size_bytes(event), clock.now())
                clock.call_at(comes_s, lambda: self._pass(tell, "down"))

        self._broker._later(receive)


def _size_bytes(message: Arrived) -> int:
    return message_bytes(message.topic, message.payload)
