"""The paper's experiment (arXiv 2403.15815), simulated; `make paper` calls it.

    python -m benchmarks.paper [--results FILE.json] [--processes N] [--tell]

Times every contender, learns the curves, proves that clocks may be laid over them, and writes
tables and pictures into docs. `--tell` writes them from the results of the last run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.paper.experiment import experiment
from benchmarks.paper.page import write_page
from benchmarks.paper.results import Results

RESULTS = Path("runs/paper/results.json")


def main() -> None:
    """Reads the command line, runs the experiment, and writes the page."""
    parser = argparse.ArgumentParser(description="the paper's experiment, simulated")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FILE.json")
    parser.add_argument("--processes", type=int, default=2, metavar="N")
    parser.add_argument("--tell", action="store_true", help="only write the page anew")
    args = parser.parse_args()
    if not args.tell:
        began_s = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            results = experiment(Path(folder), args.processes)
        args.results.parent.mkdir(parents=True, exist_ok=True)
        results.save(args.results)
        sys.stderr.write(f"{(time.perf_counter() - began_s) / 60:.0f} minutes\n")
    write_page(Results.load(args.results))


if __name__ == "__main__":
    main()
