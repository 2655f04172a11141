"""What closing a round takes: reckoned, given or measured; and that rounds take it."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from coordinator.cutting.cut_check import trace_job
from coordinator.job import Job
from coordinator.record.run_record import RunRecord
from coordinator.simulation.closing import estimated_closing_s, measured_closing_s
from coordinator.simulation.costs import Costs
from coordinator.simulation.simulation import Setting, simulate
from runtime.config import load
from tests.commands.jobs import write_job
from tests.simulation.stages import JOB, TRACED, board, fleet

FLEET = fleet(board("a"), board("b"))


@pytest.fixture
def tiny(tmp_path: Path) -> Job:
    return load(write_job(tmp_path), Job)


def test_rounds_end_when_they_are_closed(tmp_path: Path) -> None:
    lasted = []
    for closing_s in (0.0, 2.5):
        record = RunRecord.begin(tmp_path / f"{closing_s}")
        simulate(JOB, FLEET, record, Setting(closing_s=closing_s))
        last = record.rounds()[-1]
        assert last["closing_s"] == pytest.approx(closing_s)
        lasted.append(last["duration_s"])
    assert lasted[1] - lasted[0] == pytest.approx(2.5)


def test_planners_learn_what_closing_takes(tmp_path: Path) -> None:
    job = evolve(JOB, planner=evolve(JOB.planner, name="optimal"))
    record = RunRecord.begin(tmp_path / "run")
    simulate(job, FLEET, record, Setting(closing_s=2.5))
    first, second = record.rounds()
    assert first["duration_s"] - first["predicted_s"] == pytest.approx(2.5, abs=0.2)
    assert second["predicted_s"] == pytest.approx(second["duration_s"], rel=0.03)


def test_an_estimate_counts_evaluation_copies_and_checkpoint(tiny: Job) -> None:
    traced = trace_job(tiny)
    slow, fast = (estimated_closing_s(tiny, FLEET, Costs(traced, g)) for g in (0.001, 0.002))
    evaluation_s = 12 * traced.flops_per_sample / (0.65 * 1e6)
    assert slow - fast == pytest.approx(evaluation_s / 2)
    crowd = fleet(*(board(f"b{number}") for number in range(100)))
    assert estimated_closing_s(tiny, crowd, Costs(traced, 0.001)) > slow


def test_an_estimate_needs_no_data() -> None:
    assert 0 < estimated_closing_s(JOB, FLEET, Costs(TRACED)) < 0.1


def test_it_can_be_measured(tiny: Job) -> None:
    few = measured_closing_s(tiny, FLEET)
    crowd = fleet(*(board(f"b{number}") for number in range(1000)))
    assert 0 < few < 60
    assert 0 < measured_closing_s(tiny, crowd) < 60
