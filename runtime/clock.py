"""The Clock seam: when things happen, and on which thread.

Everything that a party does happens inside an action run by its clock, one at a time. The wall
clock is the event loop of a process; its twin, the virtual clock (`runtime.virtual`), runs any
number of parties in one thread, as fast as they can go, in an order fixed by the seed alone.
"""

from __future__ import annotations

import heapq
import itertools
import queue
import time
from collections.abc import Callable
from typing import Protocol

Action = Callable[[], None]


class Clock(Protocol):
    """Tells the time in seconds and runs actions, one after the other."""

    def now(self) -> float:
        """Returns seconds since an arbitrary start; never goes backwards."""

    def call_at(self, at_s: float, action: Action) -> None:
        """Runs `action` at `at_s` or as soon after as possible. Only for the loop's own thread."""

    def post(self, action: Action) -> None:
        """Runs `action` as soon as possible. Any thread may call it."""


class WallClock:
    """The event loop of a real process. `run` returns when `stop` was called."""

    def __init__(self) -> None:
        self._posted: queue.SimpleQueue[Action] = queue.SimpleQueue()
        self._timers: list[tuple[float, int, Action]] = []
        self._count = itertools.count()
        self._running = True

    def now(self) -> float:
        return time.monotonic()

    def call_at(self, at_s: float, action: Action) -> None:
        heapq.heappush(self._timers, (at_s, next(self._count), action))

    def post(self, action: Action) -> None:
        self._posted.put(action)

    def stop(self) -> None:
        """Makes `run` return after the action in hand. Any thread may call it."""
        self.post(self._end)

    def run(self) -> None:
        """Runs actions on the calling thread until `stop`."""
        while self._running:
            self._run_due()
            try:
                action = self._posted.get(timeout=self._patience_s())
            except queue.Empty:
                continue
            action()

    def _run_due(self) -> None:
        # Those set meanwhile wait for the next turn: a timer that sets itself again for now must
        # not keep posted actions waiting for ever.
        now, newest = self.now(), next(self._count)
        while self._timers and self._timers[0][0] <= now and self._timers[0][1] < newest:
            if not self._running:
                return
            heapq.heappop(self._timers)[2]()

    def _patience_s(self) -> float | None:
        return max(0.0, self._timers[0][0] - self.now()) if self._timers else None

    def _end(self) -> None:
        self._running = False
