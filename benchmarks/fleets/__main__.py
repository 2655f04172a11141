"""Measures fleets of emulated boards: the real coordinator, agents, broker and transfers.

Every planner gets the same fleet behind the same shared link, which a proxy holds to its rates;
`unpaced` sends as it likes. What a plan foretold stands beside what the round took, and beside
what the simulator makes of the same files.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from attrs import frozen

from coordinator.fleet import Fleet
from coordinator.job import Job
from coordinator.record.foretold import MOST_OVERRUNS
from coordinator.record.run_record import RunRecord
from runtime.config import load

HERE = Path(__file__).parent
FLEETS = ("speeds", "links", "narrow")
SCHEMES = ("optimal", "unpaced", "common-cut", "full-local", "equal-bandwidth", "alternating")
STATIC = frozenset({"equal-bandwidth", "alternating"})
"""Held to static shares, as the paper has them; the others lend."""
WARM_UP_ROUNDS = 2


@frozen
class Measured:
    """One run. Times are medians over its rounds, without the first two, in seconds."""

    fleet: str
    scheme: str
    round_s: float
    predicted_s: float
    overruns: float
    """The part of steps in which this machine was slower than the board it plays."""
    cuts: str

    @property
    def is_valid(self) -> bool:
        return self.overruns <= MOST_OVERRUNS

    @property
    def error(self) -> float:
        return self.predicted_s / self.round_s - 1


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a row for every fleet and scheme."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleets", description=__doc__)
    parser.add_argument("--fleets", nargs="+", default=FLEETS, metavar="NAME")
    parser.add_argument("--schemes", nargs="+", default=SCHEMES, metavar="NAME")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--no-simulation", action="store_true")
    options = parser.parse_args(arguments)
    print("| fleet | planner | measured s | foretold s | error | simulated s | cuts | |")
    print("|---|---|---|---|---|---|---|---|")
    for fleet in options.fleets:
        for scheme in options.schemes:
            with tempfile.TemporaryDirectory() as folder:
                measured = measure(fleet, scheme, Path(folder), options.rounds)
                simulated = (
                    None if options.no_simulation else simulated_s(fleet, scheme, Path(folder))
                )
            print(_row(measured, simulated), flush=True)


def measure(fleet: str, scheme: str, folder: Path, rounds: int) -> Measured:
    """Rehearses a fleet under a scheme."""
    record = _run(fleet, scheme, folder, "rehearse", "--broker", "mosquitto", rounds=rounds)
    late = record.rounds()[WARM_UP_ROUNDS:]
    parts = [part for entry in late for part in entry["devices"].values()]
    steps = sum(part["samples"] for part in parts) / load(HERE / "job.toml", Job).training.batch
    last = late[-1]["devices"]
    return Measured(
        fleet,
        scheme,
        round_s=median(entry["duration_s"] for entry in late),
        predicted_s=median(entry["predicted_s"] for entry in late),
        overruns=sum(part["overruns"] for part in parts) / steps,
        cuts=" ".join(f"{name}:{part['cut']}" for name, part in last.items()),
    )


def simulated_s(fleet: str, scheme: str, folder: Path) -> float:
    """Returns the median round time of the simulated fleet; its server is this machine's."""
    record = _run(fleet, scheme, folder, "simulate", "--server-gflops", "measure", rounds=5)
    return float(median(entry["duration_s"] for entry in record.rounds()[WARM_UP_ROUNDS:]))


def _run(fleet: str, scheme: str, folder: Path, verb: str, *options: str, rounds: int) -> RunRecord:
    job, fleet_path = folder / "job.toml", HERE / f"{fleet}.toml"
    job.write_text(_job(load(fleet_path, Fleet), scheme))
    _keep_few(500, folder / "test.npz")
    runs = folder / verb
    command = [sys.executable, "-m", "coordinator.main", verb, str(job), "--fleet", str(fleet_path)]
    command += ["--rounds", str(rounds), "--runs", str(runs), *options]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"{verb} {fleet} {scheme} ended with {ended.returncode}:\n{ended.stderr}")
    return RunRecord(runs / "latest")


def _job(fleet: Fleet, scheme: str) -> str:
    """Returns the job with the scheme's planner, which knows what the shared link carries."""
    shares = "static" if scheme in STATIC else "lent"
    planner: dict[str, Any] = {
        "name": scheme,
        "shares": shares,
        "budget_up_mbps": fleet.shared.uplink_mbps,
        "budget_down_mbps": fleet.shared.downlink_mbps,
    }
    lines = [f"{key} = {value!r}" for key, value in planner.items() if value is not None]
    return "\n".join([(HERE / "job.toml").read_text(), "[planner]", *lines, ""])


def _keep_few(samples: int, path: Path) -> None:
    """Writes the first test images: what is timed are rounds, not evaluation."""
    with np.load(HERE.parent.parent / "examples" / "fashion_mnist" / "test.npz") as data:
        np.savez(path, **{name: data[name][:samples] for name in data.files})


def _row(one: Measured, simulated: float | None) -> str:
    verdict = "" if one.is_valid else f"not valid: {100 * one.overruns:.0f} % overrun"
    told = (
        ""
        if simulated is None
        else f"{simulated:.2f} ({100 * (simulated / one.round_s - 1):+.0f} %)"
    )
    return (
        f"| {one.fleet} | {one.scheme} | {one.round_s:.2f} | {one.predicted_s:.2f} "
        f"| {100 * one.error:+.0f} % | {told} | {one.cuts} | {verdict} |"
    )


if __name__ == "__main__":
    main()
