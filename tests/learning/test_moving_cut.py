"""A cut that moves in the middle of a run changes nothing of what is learnt."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.ids import DeviceId
from runtime.optimisers import OptimiserSpec
from tests.learning import laboratory
from tests.learning.laboratory import CutAt, FixedCuts
from tests.learning.lesson import SMALL_CNN, VIT, Lesson
from tests.learning.standard import BOARD, Standards

CUTS = {SMALL_CNN.name: ("block1", "block2", "block1.norm"), VIT.name: ("blocks.0", "embedding")}


def once(lesson: Lesson) -> CutAt:
    """The cut moves at round 8, and back at round 15."""
    first, second = CUTS[lesson.name][:2]
    return FixedCuts({BOARD: first}, {(BOARD, 8): second, (BOARD, 15): first})


def every_round(lesson: Lesson) -> CutAt:
    """Each round has another cut than the one before."""
    cuts = CUTS[lesson.name]

    def cut_at(device: DeviceId, round: int) -> str:
        return cuts[round % len(cuts)]

    return cut_at


@pytest.mark.parametrize("moves", [once, every_round])
@pytest.mark.parametrize(
    ("lesson", "optimiser"),
    [(SMALL_CNN, SMALL_CNN.sgd), (SMALL_CNN, SMALL_CNN.adam), (VIT, VIT.sgd), (VIT, VIT.adam)],
    ids=lambda value: value.name,
)
def test_a_moving_cut_changes_nothing(
    lesson: Lesson, optimiser: OptimiserSpec, moves: type, standards: Standards, tmp_path: Path
) -> None:
    job = lesson.job(optimiser, rounds=20, local_steps=1)
    run = laboratory.train(job, {BOARD: lesson.data()}, moves(lesson), tmp_path)
    assert len({entry["devices"][BOARD]["cut"] for entry in run.rounds}) > 1
    assert standards.of(lesson, job).disagreements(run.trajectory()) == []
