"""The job as a run began with it, kept beside the run: a resumed run must go on with the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from coordinator.job import Job
from coordinator.record.run_record import RunRecord
from runtime.atomic_file import write_atomically
from runtime.errors import Problem, StorageError

_MAY_CHANGE = frozenset({"job.rounds", "server.workers", "server.memory_mb"})
"""More rounds may be wanted, and another server may do the work: neither changes what was done."""


def keep_job(record: RunRecord, job: Job) -> None:
    """Writes `job.json` into the run's folder. Raises StorageError."""
    text = json.dumps(_settings(job), indent=1, sort_keys=True)
    write_atomically(record.job_path, text.encode())


def changes_since(record: RunRecord, job: Job, job_path: Path) -> list[Problem]:
    """Returns every setting that is not what it was when the run began. Raises StorageError."""
    try:
        before = json.loads(record.job_path.read_text())
    except (OSError, ValueError) as error:
        raise StorageError(f"{record.job_path} cannot be read: {error}") from error
    now = json.loads(json.dumps(_settings(job)))
    keys = sorted((before.keys() | now.keys()) - _MAY_CHANGE)
    return [
        Problem(
            str(job_path),
            key,
            f"it is {now.get(key)!r}, and was {before.get(key)!r} when {record.run} began",
            "write it as it was, or begin a new run",
        )
        for key in keys
        if before.get(key) != now.get(key)
    ]


def _settings(job: Job) -> dict[str, Any]:
    nested = attrs.asdict(job, filter=lambda attribute, _: attribute.name != "base")
    aliases = {one.name: one.alias or one.name for one in attrs.fields(Job)}
    return dict(_flat({aliases[name]: value for name, value in nested.items()}))


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
