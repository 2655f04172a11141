"""A run goes on with the job that it began with."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from coordinator.job import Job
from coordinator.record.job_record import changes_since, keep_job
from coordinator.record.run_record import RunRecord
from runtime.config import load
from runtime.errors import StorageError
from tests.commands.jobs import write_job


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return load(write_job(tmp_path), Job)


def test_the_same_job_goes_on_for_longer(job: Job, tmp_path: Path) -> None:
    record = RunRecord.begin(tmp_path / "run")
    keep_job(record, job)
    longer = attrs.evolve(job, job=attrs.evolve(job.training, rounds=9))
    assert changes_since(record, longer, Path("job.toml")) == []


def test_every_change_is_told_with_its_key(job: Job, tmp_path: Path) -> None:
    record = RunRecord.begin(tmp_path / "run")
    keep_job(record, job)
    other = attrs.evolve(
        job,
        job=attrs.evolve(job.training, seed=8),
        optimiser=attrs.evolve(job.optimiser, lr=0.5),
    )
    problems = changes_since(record, other, Path("job.toml"))
    assert [problem.key for problem in problems] == ["job.seed", "optimiser.lr"]
    assert "0.5" in problems[1].message


def test_a_run_without_its_job_is_refused(job: Job, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"job\.json cannot be read"):
        changes_since(RunRecord.begin(tmp_path / "run"), job, Path("job.toml"))
