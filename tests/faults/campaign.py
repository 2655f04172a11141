"""Plays schedules by the thousand; shrinks what fails, and tells what was struck.

python -m tests.faults.campaign [--seeds N] [--first N] [--workers N]
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor

from tests.faults.play import Verdict, play
from tests.faults.schedule import Schedule
from tests.faults.shrink import shrink

_SHRUNK_AT_MOST = 5


def play_seed(seed: int) -> Verdict:
    """Plays the schedule of a seed."""
    return play(Schedule.of_seed(seed))


def report(verdict: Verdict) -> str:
    """Returns what to know of a failure: seed, shrunk schedule, and how to play both again."""
    smallest = shrink(verdict.schedule, lambda one: play(one).fault is not None)
    return "\n".join(
        (
            f"FAILED {verdict.schedule}",
            f"  {verdict.fault}",
            f"  again: python -m tests.faults.replay {verdict.schedule.seed}",
            f"shrunk {smallest}",
            f"  {play(smallest).fault}",
            f"  again: python -m tests.faults.replay {shlex.quote(smallest.written())}",
        )
    )


def tell(verdicts: Iterable[Verdict]) -> str:
    """Returns how often what was struck, and what came of it."""
    total: Counter[str] = Counter()
    for verdict in verdicts:
        total.update(verdict.tally)
    return "\n".join(f"{count:8,} {what}" for what, count in sorted(total.items()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    began_s = time.perf_counter()
    seeds = range(options.first, options.first + options.seeds)
    with ProcessPoolExecutor(options.workers) as pool:
        verdicts = list(pool.map(play_seed, seeds, chunksize=10))
    took_s = time.perf_counter() - began_s
    print(tell(verdicts))
    longest = max(verdicts, key=lambda one: one.after_s)
    print(f"longest after all trouble: {longest.after_s:.1f} s, seed {longest.schedule.seed}")
    failed = [one for one in verdicts if one.fault]
    print(f"{len(verdicts):,} schedules in {took_s:.0f} s, {len(failed)} failed")
    for verdict in failed[:_SHRUNK_AT_MOST]:
        print(report(verdict), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
