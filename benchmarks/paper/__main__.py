"""The paper's experiment (arXiv 2403.15815), simulated; `make paper` calls it.

    python -m benchmarks.paper [--go-on] [--parts DIR] [--processes N]

Times every contender, learns the curves, proves that clocks may be laid over them, and writes
tables and pictures into docs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.paper.experiment import experiment
from benchmarks.paper.page import write_page
from benchmarks.paper.parts import forget

PARTS = Path("runs/paper")


def main() -> None:
    """Reads the command line, runs the experiment, and writes the page."""
    parser = argparse.ArgumentParser(description="the paper's experiment, simulated")
    parser.add_argument("--go-on", action="store_true", help="keep what an earlier run found")
    parser.add_argument("--parts", type=Path, default=PARTS, metavar="DIR", help=f"({PARTS})")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="(2)")
    args = parser.parse_args()
    if not args.go_on:
        forget(args.parts)
    write_page(experiment(args.parts, args.processes))


if __name__ == "__main__":
    main()
