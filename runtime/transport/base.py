"""The Transport seam: one MQTT-like connection of one party.

A transport moves opaque payloads between topics. It promises little, and callers must not
rely on more: a payload may be lost, repeated or overtaken (a broker drops past its queue and
acknowledges what it drops). What it does promise:

- events reach the listener one at a time, and never from inside a method call of the owner;
- a payload arrives whole or not at all;
- after every `Up`, what `subscribe` named is subscribed (again), and retained payloads arrive;
- `Flushed` is told once for every published payload, in whatever order: when the broker has
  taken it (QoS 1) or when the connection it waited on is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from runtime.value import value


@value
class Up:
    """The connection stands and the subscriptions are in place."""


@value
class Down:
    """The connection is gone; the transport is trying again by itself.

    `hopeless` says that it cannot succeed: our certificates or the URL are wrong.
    """

    reason: str
    hopeless: bool = False


@value
class Arrived:
    """A payload came in on a topic."""

    topic: str
    payload: bytes
    retained: bool = False


@value
class Flushed:
    """The broker has taken a published payload, or its connection died under it."""

    size_bytes: int


TransportEvent = Up | Down | Arrived | Flushed
Listener = Callable[[TransportEvent], None]


@value
class Will:
    """What the broker publishes, retained, at QoS 1, when this party vanishes."""

    topic: str
    payload: bytes


class Transport(Protocol):
    """One party's connection. Every method returns at once and may be called in any state."""

    def start(self, listener: Listener, subscriptions: tuple[str, ...], will: Will) -> None:
        """Connects, and keeps connecting for ever with jittered pauses; then tells `listener`."""

    def publish(
        self, topic: str, payload: bytes, *, qos: int, retain: bool, expiry_s: int | None
    ) -> None:
        """Hands a payload over. While down it is dropped (and `Flushed` is told)."""

    def stop(self) -> None:
        """Closes in an orderly way, so that the will is not published. Idempotent."""
