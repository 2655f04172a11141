"""What the server segments of a fleet will occupy, and whether this machine has it."""

from __future__ import annotations

from pathlib import Path

import psutil
from attrs import evolve

from coordinator.cutting.traced_model import TracedModel
from coordinator.fleet import Device, Fleet
from coordinator.job import Job
from runtime.errors import Problem

_MEGABYTE_BYTES = 1_000_000


def replicas_bytes(job: Job, fleet: Fleet, traced: TracedModel) -> int:
    """Estimates the memory of all replicas: each device's at its shallowest cut.

    Values, gradients and slots of a replica stay from step to step; activations are held by as
    many replicas as there are workers. A device that trains the whole model has none.
    """
    kept_bytes, passing_bytes = [], []
    for device in fleet.devices:
        fixed, per_sample = _largest_replica(device, traced)
        kept_bytes.append(fixed)
        passing_bytes.append(per_sample * (device.batch or job.training.batch))
    at_once = sorted(passing_bytes, reverse=True)[: job.server.workers]
    return sum(kept_bytes) + sum(at_once)


def with_memory_limit(job: Job) -> Job:
    """Returns the job with a limit on all replicas: where it says none, what is free now."""
    return evolve(job, server=evolve(job.server, memory_mb=_limit_mb(job)))


def memory_problems(job: Job, job_path: Path, fleet: Fleet, traced: TracedModel) -> list[Problem]:
    """Returns the problem that the replicas do not fit, or nothing."""
    limit_bytes = int(_limit_mb(job) * _MEGABYTE_BYTES)
    needed_bytes = replicas_bytes(job, fleet, traced)
    if needed_bytes <= limit_bytes:
        return []
    message = (
        f"the replicas of {len(fleet.devices)} devices need about "
        f"{needed_bytes / _MEGABYTE_BYTES:,.0f} MB, {limit_bytes / _MEGABYTE_BYTES:,.0f} MB are "
        + ("free" if job.server.memory_mb is None else "allowed")
    )
    fix = "cut deeper, take smaller batches or fewer devices, or allow more memory"
    return [Problem(str(job_path), "server.memory_mb", message, fix)]


def _limit_mb(job: Job) -> float:
    told_mb = job.server.memory_mb
    return psutil.virtual_memory().available / _MEGABYTE_BYTES if told_mb is None else told_mb


def _largest_replica(device: Device, traced: TracedModel) -> tuple[int, int]:
    names = [device.cut] if device.cut is not None else [one.cut for one in device.cuts]
    whole = traced.places[-1]
    sizes = []
    for cut in (traced.cut(name) for name in names):
        fixed = whole.training_memory_fixed_bytes - cut.training_memory_fixed_bytes
        per_sample = whole.training_memory_bytes_per_sample - cut.training_memory_bytes_per_sample
        sizes.append((max(0, fixed), max(0, per_sample)))
    return max(sizes)
