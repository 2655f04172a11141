"""A checkpoint comes back bit for bit, and nothing else is taken for one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve
from safetensors.numpy import save

from coordinator.job import Job
from coordinator.learning.checkpoint import Checkpoint, LayerState, weights_of, weights_sha256
from coordinator.learning.training import CoordinatorExecutor
from runtime.errors import ProgramError, StorageError
from runtime.ids import DeviceId
from tests.learning.lesson import SMALL_CNN

STATE: LayerState = {
    "conv.weight": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "conv.weight#momentum": np.full((3, 2), -0.0, np.float32),
    "norm.num_batches_tracked": np.array(2**40, np.int64),
    "mask": np.array([True, False]),
}
CHECKPOINT = Checkpoint("run-1", 3, {DeviceId("a"): 320, DeviceId("b"): 0}, STATE, {"round": 3})


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    CHECKPOINT.save(path)
    found = Checkpoint.load(path)
    assert (found.run, found.round, found.positions) == ("run-1", 3, {"a": 320, "b": 0})
    assert found.entry == {"round": 3}
    assert found.state.keys() == STATE.keys()
    for key, array in STATE.items():
        assert (found.state[key].dtype, found.state[key].shape) == (array.dtype, array.shape)
        assert found.state[key].tobytes() == array.tobytes()
    assert weights_sha256(found.state) == weights_sha256(STATE)


def test_a_later_one_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    for round in (3, 4):
        evolve(CHECKPOINT, round=round).save(path)
    assert Checkpoint.load(path).round == 4
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


FACTS = '{"run": "run-1", "round": 3, "positions": {}}'
FOREIGN: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "no safetensors": lambda: b"PK\3\4" + bytes(100),
    "no facts": lambda: save(STATE),
    "facts of another tool": lambda: save(STATE, {"format": "pt"}),
    "facts that are no JSON": lambda: save(STATE, {"edgesplit": "run-1"}),
    "facts that are a list": lambda: save(STATE, {"edgesplit": "[3]"}),
    "positions that are none": lambda: save(STATE, {"edgesplit": FACTS.replace("{}", "7")}),
    "a fact missing": lambda: save(STATE, {"edgesplit": '{"run": "run-1", "round": 3}'}),
    "cut short": lambda: save(STATE, {"edgesplit": FACTS})[:-1],
    "longer than it says": lambda: save(STATE, {"edgesplit": FACTS}) + b"\0",
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_another_file_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(FOREIGN[kind]())
    with pytest.raises(StorageError, match="is no checkpoint"):
        Checkpoint.load(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="is no checkpoint"):
        Checkpoint.load(tmp_path / "checkpoint.safetensors")


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        CHECKPOINT.save(tmp_path / "gone" / "checkpoint.safetensors")


def test_the_digest_is_of_weights_alone_and_of_every_bit() -> None:
    assert set(weights_of(STATE)) == set(STATE) - {"conv.weight#momentum"}
    digests = {
        weights_sha256(state)
        for state in (
            STATE,
            {**STATE, "mask": np.array([True, True])},
            {**STATE, "mask": np.array([1, 0], np.uint8)},
            {**STATE, "conv.weight": STATE["conv.weight"].reshape(2, 3)},
            {**STATE, "conv.weight": np.nextafter(STATE["conv.weight"], np.float32(9))},
            {("conv.bias" if key == "mask" else key): array for key, array in STATE.items()},
        )
    }
    assert len(digests) == 6
    other_slots = {**STATE, "conv.weight#momentum": np.ones((3, 2), np.float32)}
    assert weights_sha256(other_slots) == weights_sha256(STATE)


def executor(job: Job, folder: Path) -> CoordinatorExecutor:
    path = folder / "checkpoint.safetensors"
    return CoordinatorExecutor(job, SMALL_CNN.data(8), "run-1", path)


def test_an_executor_goes_on_from_its_own_checkpoint(tmp_path: Path) -> None:
    job = SMALL_CNN.job(SMALL_CNN.sgd)
    state = {k: np.asarray(a + 1, a.dtype) for k, a in executor(job, tmp_path).state.items()}
    second = executor(job, tmp_path)
    second.restore(Checkpoint("run-1", 1, {}, state))
    assert weights_sha256(second.state) == weights_sha256(state)
    held = {key: tensor.numpy() for key, tensor in second.model.state_dict().items()}
    assert weights_sha256(held) == weights_sha256(state)


@pytest.mark.parametrize("change", ["optimiser", "width", "type", "missing"])
def test_a_checkpoint_of_another_job_is_refused(change: str, tmp_path: Path) -> None:
    job = SMALL_CNN.job(SMALL_CNN.sgd)
    state = dict(executor(job, tmp_path).state)
    if change == "optimiser":
        job = SMALL_CNN.job(SMALL_CNN.adam)
    elif change == "width":
        wider = evolve(SMALL_CNN, args={**SMALL_CNN.args, "widths": [8, 24]})
        job = wider.job(SMALL_CNN.sgd)
    elif change == "type":
        state["classifier.bias"] = state["classifier.bias"].astype(np.float64)
    else:
        del state["classifier.bias"]
    with pytest.raises(ProgramError, match="not one of this job's model and optimiser"):
        executor(job, tmp_path).restore(Checkpoint("run-1", 1, {}, state))
