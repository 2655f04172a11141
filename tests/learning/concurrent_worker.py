"""A worker of the virtual world whose tasks truly run at the same time, on threads."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import tests.world
from coordinator.learning.training import CoordinatorExecutor
from runtime.events import Failed, Finished
from runtime.executor import Completion, Executor, ThreadWorker
from runtime.virtual import VirtualClock, VirtualWorker

TOLD_AFTER_S = 0.05
"""Long enough in virtual time for other devices' steps to arrive meanwhile."""


class ConcurrentWorker:
    """Starts a task on a thread at once, and waits for it when its virtual time is over."""

    def __init__(self, executor: Executor, clock: VirtualClock, tell: Completion, threads: int):
        self._clock = clock
        self._tell = tell
        self._defects: list[BaseException] = []
        self._done: queue.Queue[Finished | Failed | None] = queue.Queue()
        self._kept: list[Finished | Failed] = []
        self._threads = ThreadWorker(executor, self._done.put, self._defect, threads)
        self.most_under_way = 0
        self._under_way = 0

    def submit(self, task: Any) -> None:
        self._under_way += 1
        self.most_under_way = max(self.most_under_way, self._under_way)
        self._threads.submit(task)
        self._clock.call_at(self._clock.now() + TOLD_AFTER_S, lambda: self._tell(self._await(task)))

    def stop(self) -> None:
        self._threads.stop()

    def _await(self, task: Any) -> Finished | Failed:
        self._under_way -= 1
        while True:
            for event in self._kept:
                if event.task is task:
                    self._kept.remove(event)
                    return event
            made = self._done.get()
            if made is None:
                raise self._defects[0]
            self._kept.append(made)

    def _defect(self, defect: BaseException) -> None:
        self._defects.append(defect)
        self._done.put(None)


@contextmanager
def coordinator_threads(threads: int) -> Iterator[list[ConcurrentWorker]]:
    """Lets the coordinators of worlds that start meanwhile have so many threads."""
    made: list[ConcurrentWorker] = []

    def make(executor: Executor, clock: VirtualClock, tell: Completion) -> Any:
        if not isinstance(executor, CoordinatorExecutor):
            return VirtualWorker(executor, clock, tell)
        made.append(ConcurrentWorker(executor, clock, tell, threads))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tests.world, "VirtualWorker", make)
        yield made
    for worker in made:
        worker.stop()
