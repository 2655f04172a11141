"""Two boards with one local step a round are one PyTorch step on their joined batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import coordinator.learning.training
from runtime.averaging import LayerCopy, average
from runtime.ids import DeviceId
from runtime.order import samples
from tests.learning import laboratory
from tests.learning.laboratory import FixedCuts
from tests.learning.lesson import VIT
from tests.learning.reference import PyTorch
from tests.learning.trajectory import Distance, Trajectory

BATCHES = {DeviceId("a"): 16, DeviceId("b"): 48}
CUTS = FixedCuts({"a": "blocks.0", "b": "embedding"}, {("a", 4): "embedding"})
SHARDS = {DeviceId("a"): VIT.data(60, seed=2), DeviceId("b"): VIT.data(100, seed=3)}
JOB = VIT.job(VIT.sgd, rounds=6, local_steps=1)


def joined_steps() -> Trajectory:
    """Torch's own steps on both boards' samples in one batch."""
    torch_run = PyTorch.begin(JOB, DeviceId("a"))
    for round in range(JOB.training.rounds):
        parts = [
            SHARDS[name].batch(
                samples(JOB.training.seed, name, len(SHARDS[name]), round * size, size)
            )
            for name, size in BATCHES.items()
        ]
        torch_run.step(np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts]))
    return torch_run.trajectory()


def boards_steps(folder: Path) -> Trajectory:
    return laboratory.train(JOB, SHARDS, CUTS, folder, batches=BATCHES).trajectory()


def test_one_step_on_the_joined_batch(tmp_path: Path) -> None:
    apart = Distance.between(boards_steps(tmp_path), joined_steps())
    assert apart.beyond(Distance(weights=1e-5, buffers=0.0, slots=1e-5, loss=1e-5)) == []


def test_an_average_without_weights_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def equal(copies: list[LayerCopy]) -> object:
        return average([(device, 1, state) for device, _, state in copies])

    monkeypatch.setattr(coordinator.learning.training, "average", equal)
    apart = Distance.between(boards_steps(tmp_path), joined_steps())
    assert apart.weights > 1e-4 and apart.slots > 1e-4
