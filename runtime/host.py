"""Drives one party: carries out its effects on a transport, a worker, a record and a clock.

The same host runs the product and the simulation; only what it is given differs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from runtime.clock import Clock
from runtime.effects import Effect, Halt, Publish, Record, Submit, Wake
from runtime.events import HostEvent, Started, StopAsked, Tick
from runtime.executor import Worker
from runtime.party import Party
from runtime.transport.base import Transport, Will


class Records(Protocol):
    """Where a party's records go. An entry is durable when `append` returns."""

    def append(self, stream: str, entry: dict[str, Any]) -> None: ...


class Host:
    """Delivers events to a party, one at a time, on the clock's thread.

    `make_worker` gets the function that tells of finished tasks. `ended` is called once, after
    everything is closed.
    """

    def __init__(
        self,
        party: Party[Any],
        *,
        transport: Transport,
        clock: Clock,
        records: Records,
        make_worker: Callable[[Callable[[HostEvent], None]], Worker],
        ended: Callable[[Halt], None],
    ) -> None:
        self._party = party
        self._transport = transport
        self._clock = clock
        self._records = records
        self._worker = make_worker(self.post)
        self._ended = ended
        self._wake_at_s: float | None = None
        self._running = True
        self.handled = 0

    def start(self, will_payload: bytes) -> None:
        """Begins: the machine starts, then the transport connects."""
        self._clock.post(lambda: self._deliver(Started()))
        will = Will(self._party.presence_topic, will_payload)
        subscriptions = self._party.subscriptions
        self._clock.post(lambda: self._transport.start(self.post, subscriptions, will))

    def post(self, event: HostEvent) -> None:
        """Queues an event; any thread may call it."""
        self._clock.post(lambda: self._deliver(event))

    def ask_to_stop(self) -> None:
        """Asks the party to end in an orderly way; any thread, or a signal handler, may call it."""
        self.post(StopAsked())

    def abandon(self) -> None:
        """Stops at once and tells nobody, as a killed process would. For the virtual world."""
        self._running = False
        self._worker.stop()

    def _deliver(self, event: HostEvent) -> None:
        if not self._running:
            return
        self.handled += 1
        if isinstance(event, Tick):
            self._wake_at_s = None
        for effect in self._party.handle(event, self._clock.now()):
            self._perform(effect)

    def _perform(self, effect: Effect) -> None:
        if not self._running:
            return
        match effect:
            case Publish(topic, payload, qos, retain, expiry_s):
                self._transport.publish(topic, payload, qos=qos, retain=retain, expiry_s=expiry_s)
            case Submit(task):
                self._worker.submit(task)
            case Record(stream, entry):
                self._records.append(stream, entry)
            case Wake(at_s):
                self._wake(at_s)
            case Halt():
                self._halt(effect)

    def _wake(self, at_s: float) -> None:
        if self._wake_at_s is None or at_s < self._wake_at_s:
            self._wake_at_s = at_s
            self._clock.call_at(at_s, lambda: self._tick(at_s))

    def _tick(self, at_s: float) -> None:
        # An earlier wake may have replaced this one; then a later Tick is already on its way.
        if self._wake_at_s == at_s:
            self._deliver(Tick())

    def _halt(self, halt: Halt) -> None:
        self._running = False
        self._worker.stop()
        self._transport.stop()
        self._ended(halt)
