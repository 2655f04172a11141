"""What a faulty device sends is refused in words; it never takes the coordinator down."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from coordinator.learning.training import CoordinatorExecutor
from coordinator.plan import Assignment, Plan
from coordinator.tasks import Collect, OpenRound, Prepare, Prepared, ServeStep
from runtime.errors import EdgeSplitError
from runtime.events import Failed, Finished
from runtime.executor import attempt
from runtime.ids import DeviceId
from runtime.letters import AttemptKey, Tensors
from runtime.tensors import pack, pack_all, unpack_all
from tests.learning.lesson import SGD, SMALL_CNN

BOARD, KEY, BATCH = DeviceId("board"), AttemptKey(1, 1), 16
GOOD_LABELS = np.zeros(BATCH, np.uint8)


@pytest.fixture(scope="module")
def executor(tmp_path_factory: pytest.TempPathFactory) -> CoordinatorExecutor:
    lesson = SMALL_CNN
    path = tmp_path_factory.mktemp("run") / "checkpoint"
    made = CoordinatorExecutor(lesson.job(SGD, batch=BATCH), lesson.data(), "run", path)
    assignment = Assignment(BOARD, "block2", "fp32", "fp32", BATCH)
    made.run(OpenRound(Plan(1, "fixed", (assignment,))))
    prepared = made.run(Prepare(assignment, KEY))
    assert isinstance(prepared, Prepared)
    return made


def smashed(executor: CoordinatorExecutor) -> NDArray[np.float32]:
    shape = executor.traced.cut("block2").smashed_shape
    return np.ones((BATCH, *shape), np.float32)


def served(executor: CoordinatorExecutor, tensors: Tensors) -> Finished | Failed:
    return attempt(executor, ServeStep(BOARD, KEY, 0, 0, tensors))


def test_a_good_step_is_served(executor: CoordinatorExecutor) -> None:
    tensors = {"smashed": pack(smashed(executor)), "labels": pack(GOOD_LABELS)}
    assert isinstance(served(executor, tensors), Finished)


@pytest.mark.parametrize(
    "labels",
    [
        np.zeros((BATCH, 0), np.uint8),
        np.zeros((BATCH, 5), np.uint8),
        np.zeros(BATCH - 1, np.uint8),
        np.zeros(0, np.uint8),
        np.full(BATCH, 10, np.uint8),
        np.full(BATCH, -1, np.int8),
        np.zeros(BATCH, np.float32),
    ],
    ids=str,
)
def test_labels_that_do_not_fit(executor: CoordinatorExecutor, labels: NDArray[np.generic]) -> None:
    tensors = {"smashed": pack(smashed(executor)), "labels": pack(labels)}
    assert isinstance(served(executor, tensors), Failed)


def test_smashed_data_that_does_not_fit(executor: CoordinatorExecutor) -> None:
    good = smashed(executor)
    for bad in (good[:, :1], good.astype(np.float64), np.full_like(good, np.nan)):
        tensors = {"smashed": pack(bad), "labels": pack(GOOD_LABELS)}
        assert isinstance(served(executor, tensors), Failed)
    assert isinstance(served(executor, {"labels": pack(GOOD_LABELS)}), Failed)
    assert isinstance(served(executor, {"smashed": pack(good)}), Failed)


def test_layer_state_that_does_not_fit(executor: CoordinatorExecutor) -> None:
    assignment = Assignment(BOARD, "block2", "fp32", "fp32", BATCH)
    state = unpack_all(executor.run(Prepare(assignment, KEY)).tensors)
    first = next(iter(state))
    for bad in (
        {},
        {**state, "more": np.zeros(1, np.float32)},
        {**state, first: state[first].astype(np.float64)},
        {**state, first: np.zeros(3, np.float32)},
        {**state, first: np.full_like(state[first], np.inf)},
    ):
        with pytest.raises(EdgeSplitError):
            executor.run(Collect(BOARD, KEY, BATCH, pack_all(bad)))
    assert executor.run(Collect(BOARD, KEY, BATCH, pack_all(state))) is None
