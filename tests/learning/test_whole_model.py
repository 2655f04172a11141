"""Boards that train the whole model learn what plain PyTorch learns, alone or among others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from attrs import evolve

from runtime.exits import Exit
from runtime.ids import DeviceId
from runtime.optimisers import OptimiserSpec
from runtime.program import WHOLE_MODEL
from tests.learning import laboratory
from tests.learning.laboratory import FixedCuts
from tests.learning.lesson import SMALL_CNN, VIT, VIT_DROPOUT, Lesson
from tests.learning.standard import BOARD, Standards
from tests.learning.test_micro_batches import InPieces
from tests.learning.trajectory import SMOOTH, Distance

ALONE = FixedCuts({BOARD: WHOLE_MODEL})
ONE, TWO, THREE = (DeviceId(f"board-{number}") for number in range(1, 4))


@pytest.mark.parametrize(
    ("lesson", "optimiser"),
    [(lesson, spec) for lesson in (SMALL_CNN, VIT_DROPOUT) for spec in (lesson.sgd, lesson.adam)],
    ids=lambda value: value.name,
)
@pytest.mark.parametrize("local_steps", [1, 20])
def test_twenty_steps_are_torchs(
    lesson: Lesson,
    optimiser: OptimiserSpec,
    local_steps: int,
    standards: Standards,
    tmp_path: Path,
) -> None:
    job = lesson.job(optimiser, rounds=20 // local_steps, local_steps=local_steps, codec="int8")
    run = laboratory.train(job, {BOARD: lesson.data()}, ALONE, tmp_path)
    assert standards.of(lesson, job).disagreements(run.trajectory()) == []


def test_micro_batches_add_up(standards: Standards, tmp_path: Path) -> None:
    job = VIT.job(VIT.sgd, rounds=1, local_steps=20)
    run = laboratory.prepare(job, {BOARD: VIT.data()}, ALONE, tmp_path)
    run.world.planner = InPieces(run.world.planner, 4)
    run.world.start_all()
    assert standards.of(VIT, job).disagreements(run.finish().trajectory()) == []


def test_a_board_may_take_the_whole_model_for_some_rounds(
    standards: Standards, tmp_path: Path
) -> None:
    job = VIT.job(VIT.adam)
    moves: dict[tuple[str, int], str] = {(BOARD, 8): WHOLE_MODEL, (BOARD, 15): "embedding"}
    cuts = FixedCuts({BOARD: "blocks.0"}, moves)
    run = laboratory.train(job, {BOARD: VIT.data()}, cuts, tmp_path)
    assert standards.of(VIT, job).disagreements(run.trajectory()) == []


def test_a_mixed_fleet_learns_what_a_cut_one_learns(tmp_path: Path) -> None:
    job = VIT.job(VIT.sgd, rounds=3, local_steps=3)
    shards = {ONE: VIT.data(40, 1), TWO: VIT.data(50, 2), THREE: VIT.data(60, 3)}
    batches = {ONE: 16, TWO: 8, THREE: 4}
    cut: dict[str, str] = {ONE: "blocks.0", TWO: "embedding", THREE: "blocks.1"}
    mixed = {**cut, TWO: WHOLE_MODEL}
    all_whole = dict.fromkeys(cut, WHOLE_MODEL)
    expected, *found = (
        laboratory.train(job, shards, FixedCuts(cuts), tmp_path / str(n), batches=batches)
        for n, cuts in enumerate([cut, mixed, all_whole])
    )
    for run in found:
        assert Distance.between(run.trajectory(), expected.trajectory()).beyond(SMOOTH) == []
    entry = found[0].rounds[-1]["devices"][TWO]
    assert entry["train_loss"] == pytest.approx(
        expected.rounds[-1]["devices"][TWO]["train_loss"], rel=1e-5
    )
    assert entry["samples"] == 3 * 8


def test_the_weights_of_a_whole_board_count(tmp_path: Path) -> None:
    """The proof that the test above can fail: other data on that board is another training."""
    job = VIT.job(VIT.sgd, rounds=2, local_steps=2)
    cuts = FixedCuts({ONE: "blocks.0", TWO: WHOLE_MODEL})
    one, other = (
        laboratory.train(
            job, {ONE: VIT.data(40, 1), TWO: VIT.data(50, seed)}, cuts, tmp_path / str(seed)
        ).trajectory()
        for seed in (2, 3)
    )
    assert Distance.between(one, other).weights > SMOOTH.weights


def test_divergence_on_the_board_ends_the_run_with_its_reason(tmp_path: Path) -> None:
    job = SMALL_CNN.job(evolve(SMALL_CNN.sgd, lr=1e30), rounds=1, local_steps=10)
    run = laboratory.prepare(job, {BOARD: SMALL_CNN.data()}, ALONE, tmp_path)
    run.world.start_all()
    with np.errstate(all="ignore"):
        halt = run.world.run()
    assert halt.code is Exit.FLEET
    assert "training has diverged: the loss is" in halt.reason
