"""`edgesplit cuts`: where a job's model can be cut, and what each cut costs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from coordinator.job import Job
from runtime.config import load
from runtime.exits import Exit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", type=Path, metavar="JOB.toml", help="the job with the model")
    parser.add_argument(
        "--batch", type=_batch, metavar="N", help="samples per step (default: the job's)"
    )


def run(args: argparse.Namespace) -> Exit:
    """Prints the table. Raises EdgeSplitError for a wrong job or model."""
    job = load(args.job, Job)
    from coordinator.cutting.cut_check import trace_job
    from coordinator.cutting.cut_table import render_cuts

    sys.stdout.write(render_cuts(trace_job(job), args.batch or job.training.batch) + "\n")
    return Exit.OK


def _batch(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("write a whole number from 1")
    return int(text)
