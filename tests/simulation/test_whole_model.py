"""Simulated rounds of boards that train the whole model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from coordinator.fleet import Fleet
from coordinator.job import CutLimits, Job, PlannerName
from coordinator.planning.live_setup import live_planner
from coordinator.record.run_record import RunRecord
from coordinator.simulation.payloads import Payloads
from coordinator.simulation.simulation import Setting, simulate
from runtime.dataset import Dataset
from runtime.ids import DeviceId
from runtime.program import WHOLE_MODEL
from tests.learning import laboratory
from tests.simulation import stages
from tests.simulation.stages import JOB, TRACED, board, fleet, perform, weight_of
from tests.simulation.test_simulation import _fleet, _job, _write_shards, one_thread

__all__ = ["one_thread"]

STEPS = JOB.training.local_steps
BYTES_PER_MEGABIT = 125_000


def planned(name: PlannerName, *, whole: bool = False) -> Job:
    planner = evolve(JOB.planner, name=name)
    return evolve(JOB, planner=planner, cuts=CutLimits(whole=whole))


def run(folder: Path, job: Job, devices: Fleet) -> tuple[list[dict[str, Any]], RunRecord]:
    record = RunRecord.begin(folder / "run")
    simulate(job, devices, record, Setting(server_gflops=stages.SERVER_GFLOPS))
    return record.rounds(), record


def test_only_the_state_travels() -> None:
    alone = perform([board("a", WHOLE_MODEL, up=8, down=16, step_s=0.05)])
    state = weight_of(Payloads(JOB, TRACED).state(WHOLE_MODEL))
    assert state == 4 * 2 * TRACED.parameters + _counters_bytes()
    transfers_s = state / (16 * BYTES_PER_MEGABIT) + state / (8 * BYTES_PER_MEGABIT)
    assert alone.duration_s() == pytest.approx(transfers_s + STEPS * 0.05, rel=0.03)
    assert alone.term("a", "server_s") == 0


def _counters_bytes() -> int:
    buffers = TRACED.split(WHOLE_MODEL).device.buffers()
    return sum(one.numel() * one.element_size() for one in buffers)


def test_a_whole_board_does_not_wait_for_others_in_its_steps() -> None:
    devices = [board("a", WHOLE_MODEL, step_s=0.05), board("b", up=2, down=2, step_s=0.05)]
    mixed = perform(devices)
    alone = perform(devices[:1])
    assert mixed.term("a", "duration_s") == pytest.approx(alone.term("a", "duration_s"), rel=0.05)
    assert mixed.duration_s() > 2 * mixed.term("a", "duration_s")


def test_full_local_measures_and_foretells_the_whole_model(tmp_path: Path) -> None:
    devices = fleet(board("a", step_s=0.02), board("b", up=3, down=5, step_s=0.04))
    rounds, record = run(tmp_path, planned("full-local"), devices)
    cuts = {one["cut"] for entry in rounds for one in entry["devices"].values()}
    assert cuts == {WHOLE_MODEL}
    assert rounds[1]["duration_s"] == pytest.approx(rounds[1]["predicted_s"], rel=0.1)
    assert {one["planner"] for one in record.plans()} == {"full-local"}


@pytest.mark.parametrize(("mbps", "whole"), [(0.5, True), (400, False)])
def test_where_it_is_faster_and_allowed_any_planner_takes_it(
    tmp_path: Path, mbps: float, whole: bool
) -> None:
    quick = board("a", up=mbps, down=mbps, step_s=0.01)
    slow = evolve(quick, emulate=evolve(quick.emulate, step_s=None, gflops=0.5))
    devices = fleet(quick if whole else slow)
    rounds, _ = run(tmp_path, planned("optimal", whole=True), devices)
    assert (rounds[-1]["devices"]["a"]["cut"] == WHOLE_MODEL) == whole


def test_nobody_takes_it_unless_it_is_allowed() -> None:
    devices = fleet(board("a"))
    planners = {
        name: live_planner(planned(name), devices, TRACED, buffer_bytes=0, labels_bytes=1)
        for name in ("optimal", "full-local")
    }
    assert TRACED.whole not in planners["optimal"].survey.cuts
    assert planners["full-local"].survey.cuts == (TRACED.whole,)


def test_learning_is_that_of_a_run_without_links(tmp_path: Path, one_thread: None) -> None:
    cuts = {"a": WHOLE_MODEL, "b": "block2", "c": WHOLE_MODEL}
    job = evolve(_job(tmp_path), job=evolve(_job(tmp_path).training, rounds=1))
    shards: dict[DeviceId, Dataset] = _write_shards(tmp_path, sorted(cuts))
    plain = laboratory.train(job, shards, laboratory.FixedCuts(cuts), tmp_path / "plain")
    learners = _fleet(tmp_path)
    devices = tuple(evolve(one, cut=cuts[one.id]) for one in learners.devices)
    record = RunRecord.begin(tmp_path / "run")
    simulate(job, evolve(learners, device=devices), record, Setting(learn=True))
    (found,), (expected,) = record.rounds(), plain.rounds
    assert found["weights_sha256"] == expected["weights_sha256"]
    assert found["train_loss"] == expected["train_loss"]
    assert found["devices"]["a"]["train_loss"] > 0


def test_stand_ins_know_no_loss() -> None:
    alone = perform([board("a", WHOLE_MODEL)])
    assert math.isnan(alone.rounds[-1]["train_loss"])
