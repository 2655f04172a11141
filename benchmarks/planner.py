"""How long planning takes, and how near the plans are to what is possible.

The largest fleet is 1,000 devices with 30 cuts in 3 codecs each. Times are of one call on one
core, the median of several, from problem to solution with both bounds.
"""

from __future__ import annotations

import time
from statistics import median

import numpy as np

from coordinator.planning.optimal import Optimal
from coordinator.planning.problem import Problem
from coordinator.planning.solution import Solution
from tests.planning.instances import random_problem

SIZES = ((4, 30), (20, 30), (100, 30), (1000, 30))
RUNS = 7


def measure(problem: Problem) -> tuple[float, Solution]:
    """Returns the seconds of one call, and the solution."""
    start = time.perf_counter()
    solution = Optimal().solve(problem)
    elapsed_s = time.perf_counter() - start
    assert isinstance(solution, Solution)
    return elapsed_s, solution


def main() -> None:
    """Prints a row for every size of fleet."""
    print(f"{'devices':>8} {'options':>8} {'median s':>9} {'worst s':>8} {'worst gap':>10}")
    for devices, cuts in SIZES:
        results = []
        for seed in range(RUNS):
            rng = np.random.default_rng(seed)
            results.append(measure(random_problem(rng, devices, cuts, codecs=3, whole=False)))
        times = [elapsed_s for elapsed_s, _ in results]
        gap = max(solution.gap for _, solution in results)
        print(
            f"{devices:>8} {cuts * 3:>8} {median(times):>9.3f} {max(times):>8.3f} "
            f"{100 * gap:>8.4f} %"
        )


if __name__ == "__main__":
    main()
