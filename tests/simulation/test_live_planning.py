"""Simulations that plan: measured by probes, held to budgets, and told what cannot be done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen

from coordinator import main as command
from coordinator.fleet import SharedLink
from coordinator.record.run_record import RunRecord, read_lines
from coordinator.simulation.budgets import pacing, told_of, with_shared
from coordinator.simulation.conditions import BoardConditions, Conditions, Shared
from coordinator.simulation.simulation import Setting, simulate
from device_agent.tasks import Begin
from runtime.errors import ProgramError
from runtime.executor import Executor
from runtime.exits import Exit
from runtime.ids import DeviceId
from tests.commands.jobs import FLEET, JOB, write_job
from tests.profiling.live_world import LiveWorld, steady
from tests.simulation import stages

LINKS = "uplink_mbps = 2, downlink_mbps = 4"
PLANNED = JOB + '[planner]\nname = "optimal"\n'
CUTLESS = f"""
[fleet]
name = "tiny"

[[device]]
id = "left"
emulate = {{ gflops = 0.01, {LINKS} }}

[[device]]
id = "right"
emulate = {{ step_s = 0.05, {LINKS} }}
"""
CRAMPED = CUTLESS.replace("step_s = 0.05", "step_s = 0.05, memory_mb = 0.001")


def simulated(folder: Path, *more: str, job: str = PLANNED, fleet: str = CUTLESS) -> int:
    path = write_job(folder, job, fleet)
    return command.main(["simulate", str(path), "--runs", str(folder / "runs"), *more])


def read(folder: Path, stream: str) -> list[dict[str, Any]]:
    return read_lines(folder / "runs" / "latest" / f"{stream}.jsonl")


class TestPlanning:
    def test_the_job_file_says_who_plans(self, tmp_path: Path) -> None:
        assert simulated(tmp_path) == Exit.OK
        measured = [one for one in read(tmp_path, "events") if one["event"] == "measured"]
        assert {one["device"] for one in measured} == {"left", "right"}
        assert [one["planner"] for one in read(tmp_path, "plans")] == ["optimal", "optimal"]

    def test_rounds_take_what_was_foretold(self, tmp_path: Path) -> None:
        job = evolve(stages.JOB, planner=evolve(stages.JOB.planner, name="optimal"))
        devices = [stages.board("a", step_s=0.03), stages.board("b", up=5, down=9, step_s=0.06)]
        record = RunRecord.begin(tmp_path / "run")
        simulate(job, stages.fleet(*devices), record)
        for entry in record.rounds():
            assert entry["duration_s"] == pytest.approx(entry["predicted_s"], rel=0.03)

    def test_planned_terms_are_those_that_are_measured(self, tmp_path: Path) -> None:
        job = evolve(stages.JOB, planner=evolve(stages.JOB.planner, name="optimal"))
        late = Conditions(board=(BoardConditions("a", delay_ms=20),))
        record = RunRecord.begin(tmp_path / "run")
        simulate(job, stages.fleet(stages.board("a", step_s=0.03)), record, Setting(late))
        ((planned,), measured) = record.plans()[-1]["assignments"], record.rounds()[-1]
        terms, foretold = measured["devices"]["a"]["terms"], planned["predicted"]
        for name in ("forward_s", "server_s", "backward_s"):
            assert foretold[name] == pytest.approx(terms[name], rel=0.05), name
        # Letters of one chunk do not tell how old their offer is: both ways together count.
        ways = [one["upload_s"] + one["download_s"] for one in (foretold, terms)]
        assert ways[0] == pytest.approx(ways[1], rel=0.05)

    def test_plans_keep_to_codec_floors(self, tmp_path: Path) -> None:
        floors = '[[codec.floors]]\ncut = "middle"\nup = "fp16"\n'
        job = PLANNED + floors + '[cuts]\nminimum = "middle"\n'
        assert simulated(tmp_path, job=job) == Exit.OK
        parts = [one for plan in read(tmp_path, "plans") for one in plan["assignments"]]
        assert {one["codec_up"] for one in parts} == {"fp16"}

    def test_an_option_goes_before_the_job_file(self, tmp_path: Path) -> None:
        assert simulated(tmp_path, "--planner", "common-cut") == Exit.OK
        assert {one["planner"] for one in read(tmp_path, "plans")} == {"common-cut"}
        job = json.loads((tmp_path / "runs" / "latest" / "job.json").read_text())
        assert job["planner.name"] == "common-cut"

    def test_plans_of_another_run_are_repeated(self, tmp_path: Path) -> None:
        assert simulated(tmp_path) == Exit.OK
        before, folder = read(tmp_path, "plans"), (tmp_path / "runs" / "latest").resolve()
        fleet = CUTLESS.replace("gflops = 0.01", "gflops = 5")
        assert simulated(tmp_path, "--plans", str(folder), fleet=fleet) == Exit.OK
        assert read(tmp_path, "plans") == before
        assert not [one for one in read(tmp_path, "events") if one["event"] == "measured"]

    def test_plans_of_another_fleet_are_refused(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert simulated(tmp_path) == Exit.OK
        folder = (tmp_path / "runs" / "latest").resolve()
        fleet = CUTLESS.replace('"left"', '"other"')
        assert simulated(tmp_path, "--plans", str(folder), fleet=fleet) == Exit.CONFIG
        assert "it plans for left, right, the fleet is other, right" in capsys.readouterr().err


class TestWhatCannotBe:
    def test_a_board_that_no_cut_fits_is_left_out_with_the_reason(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert simulated(tmp_path, fleet=CRAMPED) == Exit.OK
        for plan in read(tmp_path, "plans"):
            assert [one["device"] for one in plan["assignments"]] == ["left"]
            (left_out,) = plan["left_out"]
            assert left_out["device"] == "right"
            assert "needs" in left_out["reason"]
            assert "1000" in left_out["reason"]
        assert f"left out: right: {left_out['reason']}" in capsys.readouterr().out

    def test_an_impossible_job_is_refused_with_what_would_make_it_possible(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        job = PLANNED + "[server]\nmemory_mb = 0.0001\n"
        assert simulated(tmp_path, job=job) == Exit.FLEET
        told = capsys.readouterr().err
        assert "round 1 cannot be planned: the replicas of 2 devices" in told
        assert "give the server" in told

    def test_a_fixed_cut_that_does_not_fit_ends_the_run(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        fleet = FLEET.replace('"left"\n', '"left"\nemulate = { step_s = 1, memory_mb = 0.001 }\n')
        fleet = fleet.replace('"right"\n', '"right"\nemulate = { step_s = 1 }\n')
        assert simulated(tmp_path, job=JOB, fleet=fleet) == Exit.FLEET
        assert "left refuses the round: the program needs" in capsys.readouterr().err


@frozen
class Cramped:
    """A board into whose memory no program goes."""

    inner: Executor

    def modelled_s(self, task: Any) -> float:
        return self.inner.modelled_s(task)

    def run(self, task: Any) -> Any:
        if isinstance(task, Begin):
            raise ProgramError("the program needs 7 bytes, this board has 5")
        return self.inner.run(task)


class TestWhatCannotBeLive:
    @staticmethod
    def world(*cramped: str) -> LiveWorld:
        world = LiveWorld(steady(1e9), steady(1e10), rounds=2)
        paced = world.paced.device

        class Laboratory:
            coordinator = staticmethod(world.paced.coordinator)
            entry = staticmethod(world.paced.entry)

            @staticmethod
            def device(name: DeviceId) -> tuple[Any, int]:
                executor, held = paced(name)
                return (Cramped(executor) if name in cramped else executor), held

        world.laboratory = Laboratory()
        world.start_all()
        return world

    def test_a_board_that_no_cut_fits_is_left_out_with_the_reason(self) -> None:
        world = self.world("board-1")
        assert world.run().code is Exit.OK
        for plan in world.plans.values():
            assert [one.device for one in plan.assignments] == ["board-0"]
            (left_out,) = plan.left_out
            assert left_out.device == "board-1"
            assert "needs 7 bytes, this board has 5" in left_out.reason

    def test_a_fleet_without_any_board_that_fits_is_refused(self) -> None:
        world = self.world("board-0", "board-1")
        halt = world.run()
        assert halt.code is Exit.FLEET
        assert "round 1 cannot be planned: board-0: no cut could be measured: " in halt.reason
        assert "needs 7 bytes, this board has 5" in halt.reason
        assert "give a board more memory" in halt.reason


class TestBudgets:
    JOB = evolve(
        stages.JOB,
        planner=evolve(stages.JOB.planner, name="optimal", budget_up_mbps=8.0),
    )

    def test_the_shared_link_is_as_wide_as_the_job_says(self) -> None:
        fleet = stages.fleet(stages.board("b0"))
        assert with_shared(Conditions(), fleet, self.JOB).shared.uplink_mbps == 8.0
        wide = evolve(fleet, shared=SharedLink(uplink_mbps=20, delay_ms=3))
        assert with_shared(Conditions(), wide, self.JOB).shared == Shared(20, delay_ms=3)
        wider = Conditions(Shared(uplink_mbps=30, downlink_mbps=40))
        assert with_shared(wider, wide, self.JOB).shared.uplink_mbps == 30
        assert with_shared(wider, wide, self.JOB).shared.downlink_mbps == 40

    def test_planner_and_courier_know_a_link_that_is_paced(self) -> None:
        shared = Shared(uplink_mbps=20, downlink_mbps=30)
        told = told_of(shared, self.JOB).planner
        assert (told.budget_up_mbps, told.budget_down_mbps) == (8.0, 30)
        limits = pacing(shared, self.JOB)
        assert (limits.downlink_bytes_per_s, limits.uplink_bytes_per_s) == (1e6, 30e6 / 8)
        unpaced = evolve(shared, paced=False)
        assert told_of(unpaced, self.JOB).planner.budget_down_mbps is None
        assert pacing(unpaced, self.JOB).downlink_bytes_per_s is None

    def test_a_budget_bounds_what_all_send(self, tmp_path: Path) -> None:
        devices = [stages.board(f"b{i}", up=100, down=100, step_s=0.001) for i in range(4)]
        lasted = []
        for name, budget in (("narrow", 4.0), ("wide", 40.0)):
            job = evolve(self.JOB, planner=evolve(self.JOB.planner, budget_up_mbps=budget))
            record = RunRecord.begin(tmp_path / name)
            simulate(job, stages.fleet(*devices), record)
            last = record.rounds()[-1]
            lasted.append(last["duration_s"])
            sent = sum(one["up_bytes"] for one in last["devices"].values())
            first = sum(one["up_bytes"] for one in record.rounds()[0]["devices"].values())
            assert last["duration_s"] >= 0.98 * (sent - first) / (budget * 125_000)
        assert lasted[0] > 2 * lasted[1]
