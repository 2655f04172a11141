"""The arguments that name runs: where one is kept, and whose plans are repeated."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_runs(parser: argparse._ActionsContainer) -> None:
    """Declares --runs."""
    parser.add_argument(
        "--runs",
        type=Path,
        default=Path("runs"),
        metavar="DIR",
        help="keep the run in a new folder in DIR (default: runs)",
    )


def add_resume(parser: argparse._ActionsContainer) -> None:
    """Declares --resume."""
    parser.add_argument("--resume", type=Path, metavar="DIR", help="go on with the run in DIR")


def add_plans(parser: argparse._ActionsContainer) -> None:
    """Declares --plans."""
    parser.add_argument(
        "--plans", type=Path, metavar="RUN", help="repeat the plans of the run in folder RUN"
    )
