"""The Executor seam: what a task does, apart from where and when it runs.

An executor does the numerical work of one party: segments under onnxruntime or torch, or the
null executors whose weights are a hash chain of what they consumed. A *worker* decides where
it runs: on threads of a process, or in modelled time on the virtual clock.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from runtime.errors import EdgeSplitError
from runtime.events import Failed, Finished
from runtime.exits import exit_for

Completion = Callable[[Finished | Failed], None]


class Task(Protocol):
    """Tasks are frozen values. Those of one lane run one after the other, in order."""

    @property
    def lane(self) -> str: ...


class Executor(Protocol):
    """Runs one task at a time per lane; lanes are independent of each other."""

    def run(self, task: Any) -> Any:
        """Returns the task's result, or raises an EdgeSplitError that says why it cannot."""

    def modelled_s(self, task: Any) -> float:
        """Returns how long `task` takes in a simulated world, in seconds."""


class Worker(Protocol):
    """Runs tasks and tells of each exactly once."""

    def submit(self, task: Any) -> None:
        """Takes a task; returns at once."""

    def stop(self) -> None:
        """Abandons what has not begun and waits for what has."""


def attempt(executor: Executor, task: Any) -> Finished | Failed:
    """Runs `task` and returns the event that tells of it."""
    try:
        return Finished(task, executor.run(task))
    except EdgeSplitError as error:
        return Failed(task, str(error), exit_for(error))


class ThreadWorker:
    """Runs tasks on `threads` threads, in order within each lane.

    A defect in a task (any exception that is not ours) goes to `on_defect`, since swallowing it
    would leave the party waiting for ever.
    """

    def __init__(
        self,
        executor: Executor,
        tell: Completion,
        on_defect: Callable[[BaseException], None],
        threads: int = 1,
    ) -> None:
        self._executor = executor
        self._tell = tell
        self._on_defect = on_defect
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="compute")
        self._lock = threading.Lock()
        self._lanes: dict[str, deque[Any]] = {}

    def submit(self, task: Any) -> None:
        with self._lock:
            lane = self._lanes.get(task.lane)
            if lane is not None:
                lane.append(task)
                return
            self._lanes[task.lane] = deque()
        self._pool.submit(self._run_lane, task)

    def stop(self) -> None:
        with self._lock:
            for lane in self._lanes.values():
                lane.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run_lane(self, task: Any) -> None:
        try:
            self._tell(attempt(self._executor, task))
        except BaseException as defect:
            self._on_defect(defect)
        with self._lock:
            waiting = self._lanes[task.lane]
            if waiting:
                # Behind what other lanes wait for: one that is never empty must not starve them.
                self._pool.submit(self._run_lane, waiting.popleft())
            else:
                del self._lanes[task.lane]
