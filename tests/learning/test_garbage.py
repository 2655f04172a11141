"""What a coordinator makes for a device goes with it: nothing waits for garbage collection."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pytest

from coordinator.learning.training import CoordinatorExecutor
from coordinator.plan import Assignment
from coordinator.profiling.probing_executor import ProbingExecutor
from coordinator.tasks import PrepareProbe
from runtime.ids import DeviceId
from runtime.letters import AttemptKey
from tests.learning.lesson import ADAM, SMALL_CNN, VIT_DROPOUT, Lesson

BATCH, LIVES = 4, 12


@contextmanager
def _nobody_collects() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _executors(lesson: Lesson, folder: Path) -> tuple[CoordinatorExecutor, ProbingExecutor]:
    job = lesson.job(ADAM, batch=BATCH)
    inner = CoordinatorExecutor(job, lesson.data(), "run", folder / "checkpoint")
    shapes = {cut.name: cut.smashed_shape for cut in inner.traced.cuts}
    return inner, ProbingExecutor(inner, shapes, lambda batch: np.zeros(batch, np.int64))


def _probe(executor: ProbingExecutor, cut: str, life: int) -> None:
    assignment = Assignment(DeviceId("board"), cut, "fp32", "fp32", BATCH)
    executor.run(PrepareProbe(assignment, AttemptKey(1, 0), life))


@pytest.mark.parametrize("lesson", [SMALL_CNN, VIT_DROPOUT], ids=lambda one: one.name)
def test_lives_of_a_device_leave_no_garbage(lesson: Lesson, tmp_path: Path) -> None:
    inner, probing = _executors(lesson, tmp_path)
    cuts = [cut.name for cut in inner.traced.cuts[:3]]
    for cut in cuts:
        _probe(probing, cut, 0)
    with _nobody_collects():
        held = len(gc.get_objects())
        for life, cut in enumerate(islice(cycle(cuts), LIVES * len(cuts))):
            _probe(probing, cut, life)
        assert len(gc.get_objects()) - held < LIVES
        assert gc.collect() == 0


def test_a_replaced_replica_gives_its_memory_back_at_once(tmp_path: Path) -> None:
    inner, probing = _executors(VIT_DROPOUT, tmp_path)
    first, second = (cut.name for cut in inner.traced.cuts[:2])
    _probe(probing, first, 1)
    (_, replica), *_ = inner._replicas.values()
    weights = [weakref.ref(tensor) for tensor in replica._tensors.values()]
    del replica, _
    with _nobody_collects():
        _probe(probing, second, 2)
        assert [one for one in weights if one() is not None] == []
