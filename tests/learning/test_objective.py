"""What a job minimises: the built-in loss, the user's own, and how a model is scored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from attrs import evolve
from torch import Tensor, nn
from torch.nn import functional

from coordinator.job import Job, Loss
from coordinator.learning.objective import build_objective, cross_entropy, evaluate
from runtime.dataset import Dataset
from runtime.errors import ModelError
from runtime.ids import DeviceId
from tests.learning import laboratory
from tests.learning.laboratory import FixedCuts
from tests.learning.lesson import SMALL_CNN

LOSSES = """
from torch import nn

def smoothed():
    return nn.CrossEntropyLoss(label_smoothing=0.1)

def number():
    return 3

def broken():
    raise ValueError("no such loss")
"""
RANDOM = torch.Generator().manual_seed(3)
OUTPUTS = torch.randn(6, 5, 4, generator=RANDOM)
LABELS = torch.randint(0, 4, (6, 5), generator=RANDOM)


def job_with(factory: str, folder: Path) -> Job:
    (folder / "losses.py").write_text(LOSSES)
    return evolve(SMALL_CNN.job(SMALL_CNN.sgd, rounds=1), loss=Loss(factory), base=folder)


def test_cross_entropy_of_one_label_a_sample() -> None:
    expected = functional.cross_entropy(OUTPUTS[:, 0], LABELS[:, 0])
    assert torch.equal(cross_entropy(OUTPUTS[:, 0], LABELS[:, 0]), expected)


def test_cross_entropy_counts_tokens_singly() -> None:
    each = [functional.cross_entropy(OUTPUTS[:, t], LABELS[:, t]) for t in range(5)]
    torch.testing.assert_close(cross_entropy(OUTPUTS, LABELS), torch.stack(each).mean())


def test_the_built_in_loss_is_the_default() -> None:
    assert build_objective(SMALL_CNN.job(SMALL_CNN.sgd)) is cross_entropy


def test_a_loss_of_the_users(tmp_path: Path) -> None:
    objective = build_objective(job_with("losses.py:smoothed", tmp_path))
    expected = functional.cross_entropy(OUTPUTS[:, 0], LABELS[:, 0], label_smoothing=0.1)
    assert torch.equal(objective(OUTPUTS[:, 0], LABELS[:, 0]), expected)


def test_a_loss_of_the_users_is_what_a_run_minimises(tmp_path: Path) -> None:
    board = DeviceId("board")
    cuts = FixedCuts({board: "block1"})
    usual, smoothed = (
        laboratory.train(
            job_with(factory, tmp_path), {board: SMALL_CNN.data()}, cuts, tmp_path / name
        )
        for name, factory in (("usual", "cross-entropy"), ("users", "losses.py:smoothed"))
    )
    for kind in ("train_loss", "loss"):
        assert usual.rounds[0][kind] != pytest.approx(smoothed.rounds[0][kind], rel=1e-3)
    assert usual.weights_sha256 != smoothed.weights_sha256


@pytest.mark.parametrize("name", ["number", "broken", "missing"])
def test_a_loss_that_is_none(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"losses\.py"):
        build_objective(job_with(f"losses.py:{name}", tmp_path))


def test_a_loss_that_is_no_function(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="returned a int, not a function"):
        build_objective(job_with("losses.py:number", tmp_path))


class Lookup(nn.Module):
    """Answers from a table by the first number of a sample; wrong in train mode."""

    def __init__(self, answers: Tensor) -> None:
        super().__init__()
        self.answers = answers

    def forward(self, x: Tensor) -> Tensor:
        chosen = self.answers[x[:, 0].long()]
        return -chosen if self.training else chosen


@pytest.mark.parametrize("batch", [1, 4, 6, 100])
def test_a_score_is_a_mean_over_all_labels(batch: int) -> None:
    """Whatever the batch, the last of which may be smaller; one label a sample, or many."""
    inputs = np.arange(6, dtype=np.float32).reshape(6, 1)
    data = Dataset("table", inputs, LABELS.numpy(), "float32")
    score = evaluate(Lookup(OUTPUTS), cross_entropy, data, batch)
    assert score.accuracy == int((OUTPUTS.argmax(-1) == LABELS).sum()) / LABELS.numel()
    assert score.loss == pytest.approx(float(cross_entropy(OUTPUTS, LABELS)), rel=1e-6)
