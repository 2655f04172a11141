"""Twenty steps through the whole product are twenty steps of plain PyTorch."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.optimisers import OptimiserSpec
from tests.learning import laboratory
from tests.learning.laboratory import FixedCuts
from tests.learning.lesson import RESNET, SMALL_CNN, SMOOTH_RESNET, VIT, VIT_DROPOUT, Lesson
from tests.learning.standard import BOARD, Standards

LESSONS = [
    (SMALL_CNN, "block1"),
    (SMALL_CNN, "block2"),
    (RESNET, "layer1.0"),
    (SMOOTH_RESNET, "layer1.1"),
    (VIT, "blocks.0"),
    (VIT_DROPOUT, "blocks.0"),
]


def both_optimisers() -> list[tuple[Lesson, str, OptimiserSpec]]:
    return [(lesson, cut, spec) for lesson, cut in LESSONS for spec in (lesson.sgd, lesson.adam)]


def name_of(value: Lesson | str | OptimiserSpec) -> str:
    return value if isinstance(value, str) else value.name


@pytest.mark.parametrize(("lesson", "cut", "optimiser"), both_optimisers(), ids=name_of)
def test_twenty_rounds_of_one_step(
    lesson: Lesson, cut: str, optimiser: OptimiserSpec, standards: Standards, tmp_path: Path
) -> None:
    job = lesson.job(optimiser, rounds=20, local_steps=1)
    run = laboratory.train(job, {BOARD: lesson.data()}, FixedCuts({BOARD: cut}), tmp_path)
    assert standards.of(lesson, job).disagreements(run.trajectory()) == []


@pytest.mark.parametrize(
    ("lesson", "cut", "optimiser"),
    [(SMALL_CNN, "block1", SMALL_CNN.sgd), (VIT_DROPOUT, "blocks.0", VIT_DROPOUT.adam)],
    ids=name_of,
)
def test_one_round_of_twenty_steps(
    lesson: Lesson, cut: str, optimiser: OptimiserSpec, standards: Standards, tmp_path: Path
) -> None:
    job = lesson.job(optimiser, rounds=1, local_steps=20)
    run = laboratory.train(job, {BOARD: lesson.data()}, FixedCuts({BOARD: cut}), tmp_path)
    assert standards.of(lesson, job).disagreements(run.trajectory()) == []


@pytest.mark.parametrize("lesson", [SMALL_CNN, RESNET, VIT], ids=name_of)
def test_the_lessons_are_learnt(lesson: Lesson, standards: Standards) -> None:
    """Weights that hardly move would agree whatever the gradients are."""
    losses = standards.of(lesson, lesson.job(lesson.sgd)).expected.losses
    assert losses[-1] < 0.9 * losses[0]
