"""Holding the cuts that a job and a fleet name against the cuts that the model has."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

import torch

from coordinator.cutting.model import build_model
from coordinator.cutting.traced_model import TracedModel, trace
from coordinator.fleet import Fleet
from coordinator.job import Job
from runtime.errors import Problem
from runtime.program import WHOLE_MODEL

_NAMES_SHOWN = 8


def trace_job(job: Job) -> TracedModel:
    """Builds the job's model and finds its cuts. Raises ModelError."""
    model = build_model(job.model.factory, job.model.args, job.training.seed, job.base)
    dtype = torch.int64 if job.input.dtype == "int64" else torch.float32
    return trace(model, (torch.zeros(2, *job.input.shape, dtype=dtype),))


def cut_problems(
    job: Job, job_path: Path, fleet: Fleet, fleet_path: Path, traced: TracedModel
) -> list[Problem]:
    """Returns every cut that the model does not have, or that lies above `[cuts] minimum`."""
    depths = _depths(traced)
    minimum = job.cuts.minimum
    problems = [] if traced.whole else list(_never_whole(job, job_path))
    problems += _floor_problems(job, job_path, traced)
    if minimum == WHOLE_MODEL:
        problems.append(_no_place(job_path, "cuts.minimum", "take the planner 'full-local'"))
        minimum = None
    if minimum is not None and minimum not in depths:
        problems.append(_unknown(job_path, "cuts.minimum", minimum, traced))
    least = depths.get(minimum, 0) if minimum is not None else 0
    for key, name in _named(fleet):
        if name not in depths:
            problems.append(_unknown(fleet_path, key, name, traced))
        elif depths[name] < least:
            problems.append(_too_shallow(fleet_path, key, name, minimum, traced.cuts[least].name))
    return problems


def _named(fleet: Fleet) -> Iterator[tuple[str, str]]:
    """Yields the key and the name of every cut in a fleet file."""
    for number, device in enumerate(fleet.devices):
        if device.cut is not None:
            yield f"device[{number}].cut", device.cut
        for index, one in enumerate(device.cuts):
            yield f"device[{number}].cuts[{index}].cut", one.cut


def _depths(traced: TracedModel) -> dict[str, int]:
    """Returns the place of every name and alias in the order from input to output."""
    return {
        name: place for place, cut in enumerate(traced.places) for name in (cut.name, *cut.aliases)
    }


def _never_whole(job: Job, path: Path) -> Iterator[Problem]:
    """Yields what lets devices train a whole model that only a server can finish."""
    message = "no device can train it whole: its output is not one float tensor, the batch first"
    if job.cuts.whole:
        yield Problem(str(path), "cuts.whole", message, "write false")
    if job.planner.name == "full-local":
        yield Problem(str(path), "planner.name", message, "take another planner")


def _floor_problems(job: Job, path: Path, traced: TracedModel) -> Iterator[Problem]:
    """Yields codec floors at cuts that there are not, and two at one cut."""
    depths, seen = _depths(traced), dict[int, str]()
    for index, floor in enumerate(job.codec.floors):
        key = f"codec.floors[{index}].cut"
        if floor.cut == WHOLE_MODEL:
            yield _no_place(path, key, "leave it out: of the whole model nothing is coded")
        elif floor.cut not in depths:
            yield _unknown(path, key, floor.cut, traced)
        elif (first := seen.setdefault(depths[floor.cut], key)) != key:
            yield Problem(str(path), key, f"{first} is the same cut", "keep one of them")


def _no_place(path: Path, key: str, fix: str) -> Problem:
    return Problem(str(path), key, f"{WHOLE_MODEL!r} is no place to cut", fix)


def _unknown(path: Path, key: str, name: str, traced: TracedModel) -> Problem:
    near = difflib.get_close_matches(name, _depths(traced), n=3)
    names = near or [cut.name for cut in traced.cuts[:_NAMES_SHOWN]]
    fix = f"write {' or '.join(map(repr, names))}; `edgesplit cuts` lists them all"
    return Problem(str(path), key, f"the model has no cut {name!r}", fix)


def _too_shallow(path: Path, key: str, name: str, minimum: str | None, legal: str) -> Problem:
    message = f"{name!r} lies above the job's minimum cut {minimum!r}"
    return Problem(str(path), key, message, f"cut at {legal!r} or deeper")
