"""Asks real links whether the arbiter keeps its promises; exits with 1 where it does not.

    python -m benchmarks.arbiter [--broker iotcore|mosquitto] [--promises shares lending caps]
                                 [--links 8 40] [--seconds 15] [--runs 3]

While two devices are backlogged, bytes divide within 10 % of their weights; a device gets at least
90 % of the link while all others are idle; a hard cap is held, and used, within 10 %. A broker,
the coordinator's party and two devices' parties are processes of their own, which exchange letters
of 1 MB over MQTT; a proxy between broker and coordinator is the link. Up is towards the
coordinator. The receivers count the bytes of chunks from two seconds after the last device has
come in; a row has the medians of some runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.arbiter.case import measure
from benchmarks.arbiter.question import HEADING, PROMISES, questions
from benchmarks.round_trip import KINDS

LINKS_MBPS = (8.0, 40.0)
BRIEFLY = ("--links", "8", "--seconds", "4", "--runs", "1")
"""For `make bench`: five minutes."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a row for every question; returns how many promises are broken, 1 at most."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.arbiter",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--broker", choices=KINDS, default="iotcore")
    parser.add_argument("--promises", nargs="+", choices=PROMISES, default=PROMISES)
    parser.add_argument("--links", nargs="+", type=float, default=LINKS_MBPS, metavar="MBPS")
    parser.add_argument("--seconds", type=float, default=15.0, help="counted in every run")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args(arguments)
    print(HEADING, flush=True)
    broken = 0
    for question in questions(options.promises, options.links):
        runs = [
            measure(question.case, options.broker, options.seconds) for _ in range(options.runs)
        ]
        row, kept = question.row(runs)
        print(row, flush=True)
        broken += not kept
    return min(broken, 1)


def briefly(_arguments: Sequence[str]) -> None:
    """Prints a short form of the table."""
    main(BRIEFLY)


if __name__ == "__main__":
    sys.exit(main())
