"""`edgesplit coordinator`: runs one job on a fleet, at a broker that is already there."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from coordinator.commands import job_files, run_folders
from coordinator.fleet import Fleet
from coordinator.job import Job
from coordinator.plan import Plan
from coordinator.record.connectivity import connectivity, write_report
from coordinator.record.job_record import changes_since, keep_job
from coordinator.record.plan_log import read_plans
from coordinator.record.run_record import RunRecord
from coordinator.record.summary import in_words, summarise, write_summary
from runtime.broker_url import BrokerUrl
from runtime.config import refuse
from runtime.exits import Exit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    job_files.add_arguments(parser)
    parser.add_argument(
        "--broker", type=broker_url, required=True, metavar="URL", help="mqtt://user@host:port?..."
    )
    place = parser.add_mutually_exclusive_group()
    run_folders.add_runs(place)
    place.add_argument("--run-dir", type=Path, metavar="DIR", help="keep the run in DIR itself")
    run_folders.add_resume(place)
    run_folders.add_plans(parser)
    parser.add_argument(
        "--exit-with-parent", action="store_true", help="end when the parent process is gone"
    )
    parser.add_argument("--verbose", action="store_true", help="log more")


def broker_url(text: str) -> BrokerUrl:
    """Parses a broker's URL for argparse."""
    try:
        return BrokerUrl.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(args: argparse.Namespace) -> Exit:
    """Runs the job to its end. Raises EdgeSplitError for what keeps it from starting."""
    job, fleet = job_files.read(args)
    _check_cuts(job, fleet, args)
    plans = read_plans(args.plans, fleet) if args.plans else {}
    record = _record(args, job)
    if args.resume:
        refuse(changes_since(record, job, args.job))
    else:
        keep_job(record, job)
    _log_to(record.folder / "coordinator.log", args.verbose)
    if len(record.rounds()) >= job.training.rounds and record.final_onnx_path.exists():
        sys.stdout.write(f"{record.run} is complete already\n")
        return Exit.OK
    began_s = time.monotonic()
    code = _train(job, fleet, args, record, plans)
    _conclude(record, job, time.monotonic() - began_s)
    return code


def _check_cuts(job: Job, fleet: Fleet, args: argparse.Namespace) -> None:
    from coordinator.cutting.cut_check import cut_problems, trace_job
    from coordinator.learning.replica_memory import memory_problems

    refuse(job_files.cutless(args, job, fleet))
    traced = trace_job(job)
    refuse(cut_problems(job, args.job, fleet, job_files.fleet_path(args), traced))
    if job.planner.name == "fixed":
        refuse(memory_problems(job, args.job, fleet, traced))


def _record(args: argparse.Namespace, job: Job) -> RunRecord:
    if args.resume:
        return RunRecord.reopen(args.resume)
    if args.run_dir:
        return RunRecord.begin(args.run_dir)
    return RunRecord.create(args.runs, job.name)


def _log_to(path: Path, verbose: bool) -> None:
    """Sends the log to a file: the terminal belongs to the table."""
    logging.basicConfig(
        filename=path,
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )


def _train(
    job: Job,
    fleet: Fleet,
    args: argparse.Namespace,
    record: RunRecord,
    plans: Mapping[int, Plan],
) -> Exit:
    from coordinator.process import run_coordinator
    from coordinator.record.live_table import LiveTable

    past = record.rounds()
    with LiveTable(sorted(fleet.ids), job.training.rounds, past=past) as table:
        record.listen(table)
        halt = run_coordinator(
            job,
            fleet,
            broker=args.broker,
            record=record,
            resume=args.resume is not None,
            replayed=plans,
            with_parent=args.exit_with_parent,
        )
    if halt.code is not Exit.OK:
        sys.stderr.write(f"{halt.reason}\n")
    return halt.code


def _conclude(record: RunRecord, job: Job, wall_s: float) -> None:
    """Writes the summary and the pictures, and tells of them."""
    rounds = record.rounds()
    summary = summarise(
        rounds, wall_s=wall_s, run=record.run, job=job.name, rounds_planned=job.training.rounds
    )
    summary["connectivity"] = connectivity(record.events(), rounds)
    write_summary(record.summary_path, summary)
    told = write_report(record, in_words(summary), summary["connectivity"])
    lines = ["", told, f"summary {record.summary_path}"]
    if rounds:
        from coordinator.record.plots import plot_training
        from coordinator.record.round_picture import plot_last

        plot_training(rounds, record.plot_path, record.run)
        plot_last(record, record.round_plot_path)
        lines += [f"picture {record.plot_path}", f"picture {record.round_plot_path}"]
    if len(rounds) < job.training.rounds:
        lines.append(f"go on with: --resume {record.folder}")
    sys.stdout.write("\n".join(lines) + "\n")
