"""The memory of server segments is planned before a run begins."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import attrs
import psutil
import pytest
from attrs import evolve

from coordinator.cutting.cut_check import trace_job
from coordinator.fleet import Fleet
from coordinator.job import Job
from coordinator.learning.replica_memory import memory_problems, replicas_bytes
from coordinator.learning.training import CoordinatorExecutor
from coordinator.planning.live_planner import LivePlanner
from coordinator.planning.live_setup import live_planner
from coordinator.process import _evaluation, _first_state, _live
from coordinator.record.run_record import RunRecord
from runtime.config import load_pair
from runtime.program import WHOLE_MODEL
from tests.commands.jobs import write_job


@pytest.fixture
def files(tmp_path: Path) -> tuple[Job, Fleet]:
    write_job(tmp_path)
    return load_pair((tmp_path / "job.toml", Job), (tmp_path / "fleet.toml", Fleet))


def test_a_replica_per_device_and_activations_per_worker(files: tuple[Job, Fleet]) -> None:
    job, fleet = files
    traced = trace_job(job)
    one = attrs.evolve(fleet, device=fleet.devices[:1])
    twice = attrs.evolve(
        fleet, device=(fleet.devices[0], attrs.evolve(fleet.devices[0], id="other"))
    )
    fixed = replicas_bytes(job, twice, traced) - replicas_bytes(job, one, traced)
    bigger = attrs.evolve(job, server=attrs.evolve(job.server, workers=2))
    passing = replicas_bytes(bigger, twice, traced) - replicas_bytes(job, twice, traced)
    assert fixed > 0
    assert passing > 0
    assert replicas_bytes(job, one, traced) == fixed + passing


def test_what_does_not_fit_is_refused_with_a_fix(files: tuple[Job, Fleet]) -> None:
    job, fleet = files
    traced = trace_job(job)
    assert memory_problems(job, Path("job.toml"), fleet, traced) == []
    tight = attrs.evolve(job, server=attrs.evolve(job.server, memory_mb=1e-6))
    (problem,) = memory_problems(tight, Path("job.toml"), fleet, traced)
    assert problem.key == "server.memory_mb"
    assert "cut deeper" in problem.fix


def test_a_device_that_trains_the_whole_model_needs_no_replica(files: tuple[Job, Fleet]) -> None:
    job, fleet = files
    traced = trace_job(job)
    whole = attrs.evolve(fleet.devices[0], cut=WHOLE_MODEL, cuts=())
    assert replicas_bytes(job, attrs.evolve(fleet, device=(whole,)), traced) == 0
    mixed = attrs.evolve(fleet, device=(whole, fleet.devices[1]))
    alone = attrs.evolve(fleet, device=fleet.devices[1:])
    assert replicas_bytes(job, mixed, traced) == replicas_bytes(job, alone, traced) > 0


@pytest.mark.parametrize(("told_mb", "limit_bytes"), [(None, 5e6), (7.0, 7e6)])
def test_planners_that_measure_have_what_is_free_unless_they_are_told(
    files: tuple[Job, Fleet],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    told_mb: float | None,
    limit_bytes: float,
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=5_000_000))
    job, fleet = files
    server, planner = evolve(job.server, memory_mb=told_mb), evolve(job.planner, name="optimal")
    job, record = evolve(job, server=server, planner=planner), RunRecord.begin(tmp_path / "run")
    executor = CoordinatorExecutor(job, _evaluation(job), record.run, record.checkpoint_path)
    state = _first_state(job, fleet, record, executor.traced, None)
    live = _live(state, job, fleet, executor, _evaluation(job), record).planner
    assert isinstance(live, LivePlanner)
    assert live.limits.server_memory_bytes == limit_bytes


def test_what_is_simulated_does_not_hang_on_the_machine(files: tuple[Job, Fleet]) -> None:
    job, fleet = files
    job = evolve(job, planner=evolve(job.planner, name="optimal"))
    planner = live_planner(job, fleet, trace_job(job), buffer_bytes=0, labels_bytes=1)
    assert planner.limits.server_memory_bytes is None
