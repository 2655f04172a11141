"""What planning again gains while conditions change: `examples/changing_conditions`, twice.

Once the planner decides every round; once all rounds follow the plan of the first. Real
processes, unless told to simulate.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import mean

from coordinator.record.foretold import MOST_OVERRUNS
from coordinator.record.run_record import Entry, RunRecord

EXAMPLE = Path(__file__).parent.parent / "examples" / "changing_conditions" / "job.toml"


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the rounds of both runs side by side, and the ratio of their times."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.changing", description=__doc__)
    parser.add_argument("--simulate", action="store_true")
    options = parser.parse_args(arguments)
    verb = "simulate" if options.simulate else "rehearse"
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        planned = _run(verb, home / "planned")
        frozen = _run(verb, home / "frozen", "--plans", str(_freeze(planned, home / "plan")))
        _tell(planned.rounds(), frozen.rounds())


def _run(verb: str, runs: Path, *options: str) -> RunRecord:
    command = [sys.executable, "-m", "coordinator.main", verb, str(EXAMPLE), "--runs", str(runs)]
    ended = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"{verb} ended with {ended.returncode}:\n{ended.stderr}")
    return RunRecord(runs / "latest")


def _freeze(record: RunRecord, folder: Path) -> Path:
    """Writes a plan log in which every round has the plan of the first."""
    first = record.plans()[0]
    folder.mkdir()
    lines = [json.dumps({**first, "round": entry["round"]}) for entry in record.rounds()]
    (folder / "plans.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def _tell(planned: list[Entry], frozen: list[Entry]) -> None:
    print("| round | planned s | frozen s | cuts that moved | overran |")
    print("|---|---|---|---|---|")
    for before, now, still in zip([planned[0], *planned], planned, frozen, strict=False):
        moved = " ".join(_moves(before, now)) or "-"
        overran = f"{100 * max(_overran(now), _overran(still)):.0f} %"
        print(
            f"| {now['round']} | {now['duration_s']:.2f} | {still['duration_s']:.2f} "
            f"| {moved} | {overran} |"
        )
    total_s, frozen_s = (sum(one["duration_s"] for one in run) for run in (planned, frozen))
    moves = [move.split(":")[0] for now in pairwise(planned) for move in _moves(*now)]
    most = max((moves.count(one) for one in moves), default=0)
    print(f"\nplanned {total_s:.1f} s, frozen {frozen_s:.1f} s: {frozen_s / total_s:.2f} times;")
    print(f"at most {most} changes of a cut for a device")
    for name, run in (("planned", planned), ("frozen", frozen)):
        share = mean(map(_overran, run))
        verdict = "" if share <= MOST_OVERRUNS else ": not a valid measurement"
        print(f"{name}: this machine was too slow in {100 * share:.1f} % of the steps{verdict}")


def _moves(before: Entry, now: Entry) -> list[str]:
    cuts = {name: part["cut"] for name, part in before["devices"].items()}
    moved = [
        one for one in now["devices"].items() if cuts.get(one[0], one[1]["cut"]) != one[1]["cut"]
    ]
    return [f"{name}: {cuts[name]} to {part['cut']}" for name, part in moved]


def _overran(entry: Entry) -> float:
    """Returns the part of the round's steps in which this machine was slower than the boards."""
    parts = entry["devices"].values()
    steps = int(sum(part["steps"] for part in parts))
    return float(sum(part["overruns"] for part in parts) / steps)


if __name__ == "__main__":
    main()
