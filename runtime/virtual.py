"""The twins for a simulated world: a clock that jumps, and a worker that takes modelled time."""

from __future__ import annotations

import heapq
import itertools
from typing import Any

from runtime.clock import Action
from runtime.executor import Completion, Executor, attempt


class VirtualClock:
    """Runs the actions of any number of parties in order of time, then of arrival."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._agenda: list[tuple[float, int, Action]] = []
        self._count = itertools.count()

    def now(self) -> float:
        return self._now_s

    def call_at(self, at_s: float, action: Action) -> None:
        heapq.heappush(self._agenda, (max(at_s, self._now_s), next(self._count), action))

    def post(self, action: Action) -> None:
        self.call_at(self._now_s, action)

    def step(self) -> bool:
        """Runs the next action; returns False when there is none."""
        if not self._agenda:
            return False
        self._now_s, _, action = heapq.heappop(self._agenda)
        action()
        return True


class VirtualWorker:
    """Runs tasks at once and tells of them after the time the executor's model gives them.

    Has `threads` places, as the real worker has: a task waits for a free place.
    """

    def __init__(
        self, executor: Executor, clock: VirtualClock, tell: Completion, threads: int = 1
    ) -> None:
        self._executor = executor
        self._clock = clock
        self._tell = tell
        self._free_at_s = [0.0] * threads
        self._lanes_until_s: dict[str, float] = {}
        self._running = True

    def submit(self, task: Any) -> None:
        place = min(range(len(self._free_at_s)), key=self._free_at_s.__getitem__)
        ready_s = max(self._free_at_s[place], self._lanes_until_s.get(task.lane, 0.0))
        done_s = max(self._clock.now(), ready_s) + self._executor.modelled_s(task)
        self._free_at_s[place] = self._lanes_until_s[task.lane] = done_s
        self._clock.call_at(done_s, lambda: self._run(task))

    def stop(self) -> None:
        self._running = False

    def _run(self, task: Any) -> None:
        if self._running:
            self._tell(attempt(self._executor, task))
