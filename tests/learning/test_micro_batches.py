"""A step in micro-batches is the step in one piece."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve, frozen

from coordinator.plan import Knowledge, Plan, Planner
from coordinator.planning.solution import Infeasible
from tests.learning import laboratory
from tests.learning.laboratory import FixedCuts
from tests.learning.lesson import VIT
from tests.learning.standard import BOARD, Standards


@frozen
class InPieces:
    """Plans what another planner plans, in micro-batches."""

    planner: Planner
    micro_batches: int

    def plan(self, round: int, knowledge: Knowledge) -> Plan | Infeasible:
        whole = self.planner.plan(round, knowledge)
        assert isinstance(whole, Plan)
        parts = [evolve(part, micro_batches=self.micro_batches) for part in whole.assignments]
        return evolve(whole, assignments=tuple(parts))


@pytest.mark.parametrize("micro_batches", [2, 8])
def test_micro_batches_add_up(micro_batches: int, standards: Standards, tmp_path: Path) -> None:
    job = VIT.job(VIT.sgd, rounds=1, local_steps=20)
    cuts = FixedCuts({BOARD: "embedding"})
    run = laboratory.prepare(job, {BOARD: VIT.data()}, cuts, tmp_path)
    run.world.planner = InPieces(run.world.planner, micro_batches)
    run.world.start_all()
    assert standards.of(VIT, job).disagreements(run.finish().trajectory()) == []
