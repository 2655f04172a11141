"""`edgesplit data`: what is done to data before a run; so far, dealing them out."""

from __future__ import annotations

import argparse

from coordinator.rehearsal import partition
from runtime.exits import exit_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    text = "Deals one data set out to several devices, evenly or skewed by class."
    dealing = actions.add_parser(
        "partition",
        help="deal a data set out to devices",
        description=text,
        epilog=exit_table(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    partition.add_arguments(dealing)
    dealing.set_defaults(action=partition.run)


def run(args: argparse.Namespace) -> int:
    status: int = args.action(args)
    return status
