"""`edgesplit rehearse`: a whole fleet on one machine, each board a process of its own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from coordinator.commands import job_files, run_folders
from coordinator.commands.coordinate import broker_url
from coordinator.record.plan_log import read_plans
from runtime.config import refuse
from runtime.exits import Exit

_KINDS = ("iotcore", "mosquitto")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    job_files.add_arguments(parser)
    parser.add_argument(
        "--broker",
        type=_broker,
        default="iotcore",
        metavar="KIND|URL",
        help="start iotcore (the default) or mosquitto, or use the broker at a URL",
    )
    parser.add_argument(
        "--agent-python",
        type=Path,
        default=Path(sys.executable),
        metavar="PATH",
        help="the python that runs the agents, of an environment without torch (default: this one)",
    )
    place = parser.add_mutually_exclusive_group()
    run_folders.add_runs(place)
    run_folders.add_resume(place)
    run_folders.add_plans(parser)


def run(args: argparse.Namespace) -> Exit:
    """Rehearses. Raises EdgeSplitError for what keeps it from starting."""
    from coordinator.rehearsal.rehearsal import Staging, rehearse

    job, fleet = job_files.read(args)
    refuse(job_files.cutless(args, job, fleet))
    overrides = job_files.overrides(args)
    if args.plans:
        read_plans(args.plans, fleet)
        overrides += ["--plans", str(args.plans)]
    staging = Staging(
        files=(args.job, job_files.fleet_path(args)),
        overrides=overrides,
        broker=args.broker,
        agent_python=args.agent_python,
        runs=args.runs,
        resume=args.resume,
    )
    return rehearse(job, fleet, staging)


def _broker(text: str) -> str:
    if text not in _KINDS:
        broker_url(text)
    return text
