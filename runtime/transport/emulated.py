"""A real transport behind a modelled link: how a fast machine plays a board on a slow one.

The link is that of simulations, so that a rehearsal and a simulation of it are held up alike.
"""

from __future__ import annotations

from collections import deque

from attrs import frozen

from runtime.clock import Clock
from runtime.transport.base import Arrived, Down, Flushed, Listener, Transport, TransportEvent, Will
from runtime.transport.link_model import Link, message_bytes


@frozen
class _Held:
    """A message on its way up."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    expiry_s: int | None


class EmulatedTransport:
    """Holds every message for as long as `link` would take, in both directions.

    Methods belong on the clock's thread; `inner` may tell its events on any. What is on the link
    when the connection is lost is lost.
    """

    def __init__(self, inner: Transport, link: Link, clock: Clock) -> None:
        self._inner = inner
        self._link = link
        self._clock = clock
        self._listener: Listener | None = None
        self._held: deque[_Held] = deque()
        self._life = 0

    def start(self, listener: Listener, subscriptions: tuple[str, ...], will: Will) -> None:
        self._listener = listener
        clock = self._clock
        self._inner.start(lambda event: clock.post(lambda: self._hear(event)), subscriptions, will)

    def publish(
        self, topic: str, payload: bytes, *, qos: int, retain: bool, expiry_s: int | None
    ) -> None:
        self._held.append(_Held(topic, payload, qos, retain, expiry_s))
        life = self._life
        arrives_s = self._link.up.carry(message_bytes(topic, payload), self._clock.now())
        self._clock.call_at(arrives_s, lambda: self._release() if life == self._life else None)

    def stop(self) -> None:
        self._life += 1
        # A farewell shall not be lost to a link that is only played.
        while self._held:
            self._release()
        self._inner.stop()
        self._listener = None

    def _release(self) -> None:
        one = self._held.popleft()
        self._inner.publish(
            one.topic, one.payload, qos=one.qos, retain=one.retain, expiry_s=one.expiry_s
        )

    def _hear(self, event: TransportEvent) -> None:
        match event:
            case Arrived(topic, payload):
                life = self._life
                comes_s = self._link.down.carry(message_bytes(topic, payload), self._clock.now())
                self._clock.call_at(comes_s, lambda: self._tell(event, life))
            case Down():
                self._lose()
                self._tell(event, self._life)
            case _:
                self._tell(event, self._life)

    def _lose(self) -> None:
        self._life += 1
        self._link.clear(self._clock.now())
        lost = [Flushed(len(one.payload)) for one in self._held]
        self._held.clear()
        for flushed in lost:
            self._tell(flushed, self._life)

    def _tell(self, event: TransportEvent, life: int) -> None:
        if self._listener is not None and life == self._life:
            self._listener(event)
