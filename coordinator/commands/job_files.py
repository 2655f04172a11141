"""The arguments that name a job and its fleet, and reading both files."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs

from coordinator.equipment import equip
from coordinator.fleet import Fleet
from coordinator.job import Job
from runtime.config import load_pair, refuse
from runtime.errors import Problem


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares JOB.toml, --fleet, and what may differ from the job file for one run."""
    parser.add_argument("job", type=Path, metavar="JOB.toml", help="what is learned, and how")
    parser.add_argument(
        "--fleet", type=Path, metavar="FLEET.toml", help="by whom (default: fleet.toml beside it)"
    )
    parser.add_argument(
        "--boards", type=Path, metavar="DIR", help="cards of your own boards, before ours"
    )
    parser.add_argument("--seed", type=_from(0), metavar="N", help="in place of the job's seed")
    parser.add_argument("--rounds", type=_from(1), metavar="N", help="in place of the job's rounds")


def fleet_path(args: argparse.Namespace) -> Path:
    """Returns where the fleet file is."""
    named: Path | None = args.fleet
    job_path: Path = args.job
    return named or job_path.with_name("fleet.toml")


def read(args: argparse.Namespace) -> tuple[Job, Fleet]:
    """Reads both files. Raises ConfigError with the problems of both."""
    job, fleet = load_pair((args.job, Job), (fleet_path(args), Fleet))
    fleet = equip(fleet, fleet_path(args), args.boards)
    changes = {name: getattr(args, name) for name in ("seed", "rounds")}
    changes = {name: value for name, value in changes.items() if value is not None}
    if changes:
        job = attrs.evolve(job, job=attrs.evolve(job.training, **changes))
        # Fewer rounds may leave no room for the warm-up.
        refuse(Problem(str(args.job), one.key, one.message, one.fix) for one in job.faults())
    return job, fleet


def cutless(args: argparse.Namespace, job: Job, fleet: Fleet) -> Iterator[Problem]:
    """Yields every device without a cut, where the job's planner takes them from the fleet."""
    if job.planner.name != "fixed":
        return
    for number, device in enumerate(fleet.devices):
        if device.cut is None and not device.cuts:
            yield Problem(
                str(fleet_path(args)),
                f"device[{number}].cut",
                f"{device.id} has no cut, and the planner of {args.job} is 'fixed'",
                "add cut = '...' or cuts = [...], or write name = 'optimal' in [planner] there",
            )


def overrides(args: argparse.Namespace) -> list[str]:
    """Returns the options that hand the same changes on to another process."""
    given = {f"--{name}": getattr(args, name) for name in ("seed", "rounds", "boards")}
    return [
        word for name, value in given.items() if value is not None for word in (name, f"{value}")
    ]


def _from(bound: int) -> Callable[[str], int]:
    def whole(text: str) -> int:
        if not text.isdecimal() or int(text) < bound:
            raise argparse.ArgumentTypeError(f"write a whole number from {bound}")
        return int(text)

    return whole
