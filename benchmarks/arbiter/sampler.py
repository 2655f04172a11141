"""A transport that counts what arrives on its way through."""

from __future__ import annotations

import time
from collections.abc import Callable

from attrs import frozen

from runtime.ids import DeviceId
from runtime.topics import Fleet
from runtime.transport.base import Arrived, Listener, Transport, TransportEvent, Will

FLEET = Fleet("arbiter")
_BULK = ("chunk", "grant")
"""A device that grants is as much under way as one that sends."""


@frozen
class Sample:
    """A chunk that arrived; the time is the machine's, the same in every process."""

    at_s: float
    device: DeviceId
    size_bytes: int


class Sampler:
    """Notes every chunk before the party has it; `begun` hears of each device's first bulk."""

    def __init__(self, inner: Transport, begun: Callable[[DeviceId], None]) -> None:
        self.samples: list[Sample] = []
        self._inner = inner
        self._begun = begun
        self._known: set[DeviceId] = set()

    def start(self, listener: Listener, subscriptions: tuple[str, ...], will: Will) -> None:
        def hear(event: TransportEvent) -> None:
            if isinstance(event, Arrived):
                self._note(event)
            listener(event)

        self._inner.start(hear, subscriptions, will)

    def publish(
        self, topic: str, payload: bytes, *, qos: int, retain: bool, expiry_s: int | None
    ) -> None:
        self._inner.publish(topic, payload, qos=qos, retain=retain, expiry_s=expiry_s)

    def stop(self) -> None:
        self._inner.stop()

    def _note(self, event: Arrived) -> None:
        place = FLEET.parse(event.topic)
        if place is None or place[1] is None or place[0].leaf not in _BULK:
            return
        row, device = place
        assert device is not None
        if row.leaf == "chunk":
            self.samples.append(Sample(time.monotonic(), device, len(event.payload)))
        if device not in self._known:
            self._known.add(device)
            self._begun(device)
