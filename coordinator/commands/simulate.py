"""`edgesplit simulate`: a run on modelled boards and links, in virtual time."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from attrs import evolve

from coordinator.commands import job_files, run_folders, server_speed
from coordinator.fleet import Fleet
from coordinator.job import Job, PlannerName
from coordinator.record.job_record import keep_job
from coordinator.record.plan_log import read_plans
from coordinator.record.run_record import RunRecord
from runtime.config import load, refuse
from runtime.exits import Exit

if TYPE_CHECKING:
    from coordinator.simulation.conditions import Conditions
    from coordinator.simulation.simulation import Simulated

_BOARDS_SHOWN = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    job_files.add_arguments(parser)
    parser.add_argument(
        "--conditions",
        type=Path,
        metavar="FILE.toml",
        help="links shared, delays, loss, outages and changes over time (default: none)",
    )
    parser.add_argument(
        "--learn",
        action="store_true",
        help="train the model really; without it only time is computed",
    )
    parser.add_argument(
        "--planner",
        choices=get_args(PlannerName),
        metavar="NAME",
        help=f"who plans, in place of the job's planner: {', '.join(get_args(PlannerName))}",
    )
    run_folders.add_plans(parser)
    server_speed.add_argument(parser)
    parser.add_argument(
        "--closing-s",
        type=_closing,
        default="estimate",
        metavar="N|measure",
        help="seconds to average, evaluate and write a checkpoint after a round, or what this "
        "machine takes (default: an estimate for the server's speed)",
    )
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="draw the last round")
    run_folders.add_runs(parser)


def run(args: argparse.Namespace) -> Exit:
    """Simulates the job to its end. Raises EdgeSplitError for what keeps it from starting."""
    from coordinator.simulation.conditions import Conditions
    from coordinator.simulation.simulation import Setting, simulate

    job, fleet = job_files.read(args)
    if args.planner:
        job = evolve(job, planner=evolve(job.planner, name=args.planner))
    conditions = load(args.conditions, Conditions) if args.conditions else Conditions()
    _check(job, fleet, conditions, args)
    plans = read_plans(args.plans, fleet) if args.plans else {}
    given = {"server_gflops": args.server_gflops} if "server_gflops" in args else {}
    record = RunRecord.create(args.runs, job.name)
    keep_job(record, job)
    closing_s = _closing_s(args.closing_s, job, fleet)
    setting = Setting(conditions, learn=args.learn, closing_s=closing_s, **given)
    simulated = simulate(job, fleet, record, setting, replayed=plans)
    _conclude(record, job, simulated)
    if args.picture and record.rounds():
        from coordinator.record.round_picture import plot_last

        plot_last(record, args.picture)
        sys.stdout.write(f"picture {args.picture}\n")
    if simulated.halt.code is not Exit.OK:
        sys.stderr.write(f"{simulated.halt.reason}\n")
    return simulated.halt.code


def _check(job: Job, fleet: Fleet, conditions: Conditions, args: argparse.Namespace) -> None:
    from coordinator.cutting.cut_check import cut_problems, trace_job
    from coordinator.simulation.costs import speed_problems

    fleet_path = job_files.fleet_path(args)
    refuse(
        [
            *job_files.cutless(args, job, fleet),
            *speed_problems(fleet, fleet_path),
            *conditions.strangers(str(args.conditions), fleet),
            *cut_problems(job, args.job, fleet, fleet_path, trace_job(job)),
        ]
    )


def _conclude(record: RunRecord, job: Job, simulated: Simulated) -> None:
    """Writes the summary and tells of it."""
    from coordinator.record.connectivity import connectivity, write_report
    from coordinator.record.summary import write_summary
    from coordinator.simulation.report import in_words, summary_of

    summary = summary_of(
        record.rounds(),
        simulated,
        run=record.run,
        job=job.name,
        rounds_planned=job.training.rounds,
        plans=record.plans(),
    )
    summary["connectivity"] = connectivity(
        record.events(), record.rounds(), end_s=simulated.simulated_s
    )
    write_summary(record.summary_path, summary)
    words = in_words(summary, most=_BOARDS_SHOWN)
    told = write_report(record, words, summary["connectivity"])
    sys.stdout.write(f"{told}\nsummary {record.summary_path}\n")


def _closing_s(told: float | str, job: Job, fleet: Fleet) -> float | None:
    """Returns the time to close a round; None leaves it to an estimate."""
    from coordinator.simulation.closing import measured_closing_s

    if told == "measure":
        return measured_closing_s(job, fleet)
    return told if isinstance(told, float) else None


def _closing(text: str) -> float | str:
    if text in ("measure", "estimate"):
        return text
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError("write a number from 0, or measure")
    return seconds
