"""Soaks a small fleet in incidents and tells whether anything leaks; 0 if nothing does.

python -m tests.soak [--seconds N] [--seed N] [--lost wait|drop] [--broker KIND] [--out DIR]
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from coordinator.record.run_record import read_lines
from tests.soak.bounds import Course, findings
from tests.soak.play import Played, Soak, play
from tests.soak.report import disk_table, process_table, verdict

LEAK, UNPLAYED = 1, 2
SHORTEST_S = 120


def main() -> int:
    played = play(_soak())
    course, run = _course(played), played.watcher.run
    samples, kept = played.watcher.samples(), played.watcher.kept()
    found = findings(samples, kept, course)
    heading = (
        f"{played.soak.seconds:.0f} s, seed {played.soak.seed}, lost devices: {played.soak.lost}, "
        f"{played.soak.broker}: {course.incidents} incidents, {course.rounds} rounds"
    )
    parts = [heading, process_table(samples, course), disk_table(kept), verdict(found)]
    report = "\n\n".join(parts) + "\n"
    if played.ended_early is not None:
        report += f"\nended too soon: {played.ended_early}\n"
    (run / "soak.md").write_text(report)
    print(f"\n{report}\nthe report is {run / 'soak.md'}")
    if played.ended_early is not None:
        return UNPLAYED
    return 0 if all(one.kept for one in found) else LEAK


def _course(played: Played) -> Course:
    run = played.watcher.run
    rescued = [one for one in read_lines(run / "events.jsonl") if one["event"] == "restarted"]
    rounds = len(read_lines(run / "rounds.jsonl"))
    return Course(played.soak.seconds, len(played.incidents), rounds, len(rescued))


def _soak() -> Soak:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1200.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lost", choices=("wait", "drop"), default="wait", help="[policy] lost")
    parser.add_argument("--broker", choices=("iotcore", "mosquitto"), default="iotcore")
    parser.add_argument("--agent-python", type=Path, default=Path(sys.executable))
    parser.add_argument("--out", type=Path, default=Path("build/soak"), help="holds all runs")
    options = parser.parse_args()
    if options.seconds < SHORTEST_S:
        parser.error(f"--seconds: nothing grows old in less than {SHORTEST_S}")
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return Soak(
        (options.out / stamp).resolve(),
        options.seconds,
        options.seed,
        options.lost,
        options.broker,
        options.agent_python,
    )


if __name__ == "__main__":
    sys.exit(main())
