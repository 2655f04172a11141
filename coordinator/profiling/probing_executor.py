"""Makes any executor of the coordinator tell what a step takes, and able to prepare probes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from coordinator.plan import Assignment
from coordinator.tasks import Prepare, PreparedProbe, PrepareProbe, Served, ServeStep
from runtime import codecs
from runtime.errors import EdgeSplitError
from runtime.executor import Executor
from runtime.letters import LABELS, SMASHED, AttemptKey, Tensors
from runtime.tensors import pack, pack_all


class ProbingExecutor:
    """Stands before `inner`, whose results are changed by nothing but the time they name.

    The server's part of a probe is a step with zeros for activations, run after one that nobody
    times. It is timed once for each cut and batch, and leaves nothing but a replica that the
    next round resets. `shapes` are those of one sample's activations by cut; `labels(batch)` gives
    labels as the job has them.
    """

    def __init__(
        self,
        inner: Executor,
        shapes: Mapping[str, tuple[int, ...]],
        labels: Callable[[int], NDArray[Any]],
    ) -> None:
        self._inner = inner
        self._shapes = shapes
        self._labels = labels
        self._timed: dict[tuple[str, int], float] = {}

    def modelled_s(self, task: Any) -> float:
        return self._inner.modelled_s(task)

    def run(self, task: Any) -> Any:
        match task:
            case PrepareProbe(assignment, attempt):
                prepared = self._inner.run(Prepare(assignment, attempt))
                return PreparedProbe(prepared, self._serving_s(assignment, attempt))
            case ServeStep():
                began_s = time.perf_counter()
                served: Served = self._inner.run(task)
                return attrs.evolve(served, worked_s=time.perf_counter() - began_s)
        return self._inner.run(task)

    def _serving_s(self, assignment: Assignment, attempt: AttemptKey) -> float:
        if assignment.is_whole_model:
            return 0.0
        key = (assignment.cut, assignment.batch)
        if key not in self._timed:
            task = ServeStep(assignment.device, attempt, 0, 0, self._step(assignment))
            try:
                self.run(task)
                self._timed[key] = self.run(task).worked_s
            except EdgeSplitError:
                # A loss that zeros do not suit: the first real steps will tell.
                self._timed[key] = 0.0
        return self._timed[key]

    def _step(self, assignment: Assignment) -> Tensors:
        shape = (assignment.batch, *self._shapes[assignment.cut])
        parts = codecs.encode(assignment.codec_up, np.zeros(shape, np.float32), noise=None)
        named = {SMASHED + suffix: part for suffix, part in parts.items()}
        return {**pack_all(named), LABELS: pack(self._labels(assignment.batch))}
