"""The argument that says how fast the server is, where its time is predicted."""

from __future__ import annotations

import argparse


def add_argument(parser: argparse.ArgumentParser) -> None:
    """Declares --server-gflops: a number, None to measure, or absent where it is not given."""
    parser.add_argument(
        "--server-gflops",
        type=_speed,
        default=argparse.SUPPRESS,
        metavar="N|measure",
        help="how fast one worker of the server trains, in 1e9 operations a second (default: 40)",
    )


def positive(text: str) -> float:
    """Reads a finite number above 0. Raises ArgumentTypeError."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("write a number above 0")
    return number


def _speed(text: str) -> float | None:
    if text == "measure":
        return None
    try:
        return positive(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, or measure") from None
