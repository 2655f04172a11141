"""The proof that the comparison with PyTorch can fail: bugs that it must find."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from attrs import evolve
from torch import nn

import coordinator.compiling.device_programs
import coordinator.learning.replica
import device_agent.training
from coordinator.compiling.compiler import compile_segment
from coordinator.learning.replica import Replica
from runtime.optimisers import Optimiser, OptimiserSpec
from runtime.program import Codec, SegmentProgram
from runtime.recipe import Recipe
from runtime.schedules import learning_rate
from tests.learning import laboratory
from tests.learning.laboratory import FixedCuts
from tests.learning.lesson import SMALL_CNN, VIT, Lesson
from tests.learning.standard import BOARD, Standards

Bug = Callable[[pytest.MonkeyPatch], None]


def no_weight_decay_on_the_device(patch: pytest.MonkeyPatch) -> None:
    def forgetful(spec: OptimiserSpec) -> Optimiser:
        return Optimiser(evolve(spec, weight_decay=0.0))

    patch.setattr(device_agent.training, "Optimiser", forgetful)


def no_weight_decay_on_the_server(patch: pytest.MonkeyPatch) -> None:
    def forgetful(spec: OptimiserSpec) -> Optimiser:
        return Optimiser(evolve(spec, weight_decay=0.0))

    patch.setattr(coordinator.learning.replica, "Optimiser", forgetful)


def wrong_batch_norm_momentum(patch: pytest.MonkeyPatch) -> None:
    def compiled(
        module: nn.Module, inputs: Sequence[torch.Tensor], *, cut: str, codec: Codec
    ) -> SegmentProgram:
        module = copy.deepcopy(module)
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.momentum = 0.11
        return compile_segment(module, inputs, cut=cut, codec=codec)

    patch.setattr(coordinator.compiling.device_programs, "compile_segment", compiled)


def slots_left_behind_when_a_layer_moves(patch: pytest.MonkeyPatch) -> None:
    whole = Replica.reset

    def reset(self: Replica, state: dict[str, np.ndarray[Any, Any]]) -> None:
        whole(self, {**state, **{key: slot for key, slot in self.state().items() if "#" in key}})

    patch.setattr(Replica, "reset", reset)


def slots_zeroed_on_the_device(patch: pytest.MonkeyPatch) -> None:
    whole = device_agent.training._load

    def load(*arguments: Any) -> dict[str, np.ndarray[Any, Any]]:
        return {key: np.zeros_like(slot) for key, slot in whole(*arguments).items()}

    patch.setattr(device_agent.training, "_load", load)


def learning_rate_off_by_one_step(patch: pytest.MonkeyPatch) -> None:
    def late(spec: Any, base: float, *, round: int, step: int, **run: int) -> float:
        return learning_rate(spec, base, round=round, step=step + 1, **run)

    patch.setattr(coordinator.learning.replica, "learning_rate", late)
    patch.setattr(device_agent.training, "learning_rate", late)


def adam_counts_again_in_every_round(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Recipe, "global_step", lambda self, round, step: step + 1)


BUGS: list[tuple[Lesson, OptimiserSpec, Bug]] = [
    (VIT, VIT.sgd, no_weight_decay_on_the_device),
    (VIT, VIT.sgd, no_weight_decay_on_the_server),
    (SMALL_CNN, SMALL_CNN.sgd, wrong_batch_norm_momentum),
    (SMALL_CNN, SMALL_CNN.sgd, slots_left_behind_when_a_layer_moves),
    (VIT, VIT.adam, slots_left_behind_when_a_layer_moves),
    (VIT, VIT.sgd, slots_zeroed_on_the_device),
    (VIT, VIT.sgd, learning_rate_off_by_one_step),
    (VIT, VIT.adam, adam_counts_again_in_every_round),
]
CUTS = {SMALL_CNN.name: ("block2", "block1"), VIT.name: ("blocks.0", "embedding")}


@pytest.mark.parametrize(
    ("lesson", "optimiser", "plant"), BUGS, ids=lambda v: getattr(v, "name", "") or v.__name__
)
def test_the_comparison_finds_a_planted_bug(
    lesson: Lesson,
    optimiser: OptimiserSpec,
    plant: Bug,
    standards: Standards,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    before, after = CUTS[lesson.name]
    job = lesson.job(optimiser, rounds=20, local_steps=1)
    standard = standards.of(lesson, job)
    plant(monkeypatch)
    cuts = FixedCuts({BOARD: before}, {(BOARD, 8): after})
    run = laboratory.train(job, {BOARD: lesson.data()}, cuts, tmp_path)
    assert standard.disagreements(run.trajectory()) != []
