"""The memory of server segments is planned before a run begins."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from coordinator.cutting.cut_check import trace_job
from coordinator.fleet import Fleet
from coordinator.job import Job
from coordinator.learning.replica_memory import memory_problems, replicas_bytes
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
