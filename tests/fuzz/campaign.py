"""Feeds mutated inputs to every target and counts what comes out.

python -m tests.fuzz.campaign [--inputs N] [--seed N] [--only NAME]
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

from attrs import define, field

from tests.fuzz.mutator import Mutator
from tests.fuzz.targets import Target, all_targets

_WEIGHED_EVERY = 200
"""Inputs whose memory is measured: tracing makes a decoder several times slower."""
_MEMORY = Path("/dev/shm")
"""A disk would be what is measured."""
LARGEST_PEAK_BYTES = 32_000_000


@define
class Tally:
    """What became of a target's inputs."""

    target: str
    inputs: int = 0
    accepted: int = 0
    seconds: float = 0.0
    peak_bytes: int = 0
    rss_growth_bytes: int = 0
    escapes: list[str] = field(factory=list)

    def __str__(self) -> str:
        return (
            f"{self.target:24} {self.inputs:8,} inputs {self.accepted:8,} accepted "
            f"{self.seconds:6.1f} s, peak {self.peak_bytes / 1e3:6,.0f} kB, "
            f"RSS +{self.rss_growth_bytes / 1e6:.0f} MB, {len(self.escapes)} escapes"
        )


def fuzz(target: Target, inputs: int, seed: int) -> Tally:
    """Feeds so many inputs; the same seed feeds the same ones."""
    mutator = Mutator(random.Random(f"{seed} {target.name}"))
    tally = Tally(target.name)
    began_s, rss = time.perf_counter(), _peak_rss_bytes()
    for data in target.corpus:
        target.decode(data)
    for number in range(inputs):
        data = mutator.mutate(target.corpus, target.form)
        weighed = number % _WEIGHED_EVERY == 0
        _feed(target, data, tally, weighed=weighed)
    tally.seconds = time.perf_counter() - began_s
    tally.rss_growth_bytes = _peak_rss_bytes() - rss
    return tally


def campaign(targets: list[Target], inputs: int, seed: int) -> list[Tally]:
    """Shares `inputs` out over the targets by their weights, and prints what becomes of them."""
    weights = sum(target.weight for target in targets)
    tallies = []
    for target in targets:
        tallies.append(fuzz(target, -(-inputs * target.weight // weights), seed))
        print(tallies[-1], flush=True)
        for escape in tallies[-1].escapes[:5]:
            print(f"    {escape}", flush=True)
    return tallies


def _feed(target: Target, data: bytes, tally: Tally, *, weighed: bool) -> None:
    tally.inputs += 1
    if weighed:
        tracemalloc.start()
    try:
        target.decode(data)
        tally.accepted += 1
    except target.declared:
        pass
    except Exception as error:
        tally.escapes.append(f"{error!r:.200} on {data[:200]!r}")
    if weighed:
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        tally.peak_bytes = max(tally.peak_bytes, peak_bytes)
        if peak_bytes > LARGEST_PEAK_BYTES:
            tally.escapes.append(f"{peak_bytes} bytes of memory on {data[:200]!r}")


def _peak_rss_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="targets whose names contain this")
    options = parser.parse_args()
    began_s = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        targets = [one for one in all_targets(Path(folder)) if options.only in one.name]
        tallies = campaign(targets, options.inputs, options.seed)
    total, escapes = sum(one.inputs for one in tallies), sum(len(one.escapes) for one in tallies)
    took_s = time.perf_counter() - began_s
    print(f"{total:,} inputs, seed {options.seed}, {took_s:.0f} s, {escapes} escapes")
    return 1 if escapes else 0


if __name__ == "__main__":
    sys.exit(main())
