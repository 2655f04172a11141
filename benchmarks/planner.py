"""How long planning takes, and how near the plans are to what is possible.

The largest fleet is 1,000 devices with 30 cuts in 3 codecs each. In the family `random` some limits
are present and some of them tight; in `binding` all four bind. Times are processor seconds of one
call, from problem to solution with both bounds; run it with OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

import numpy as np
from attrs import evolve

from coordinator.planning.hysteresis import Hysteresis
from coordinator.planning.optimal import Optimal
from coordinator.planning.problem import Problem
from coordinator.planning.solution import Infeasible, Solution
from tests.planning.instances import binding_problem, random_problem

SIZES = (4, 20, 100, 1000)
CUTS, CODECS = 30, 3
_WAVERING = 0.3


def measure(plan: Callable[[], Solution | Infeasible]) -> tuple[float, Solution]:
    """Returns the processor seconds of one call, and the solution."""
    start = time.process_time()
    solution = plan()
    elapsed_s = time.process_time() - start
    assert isinstance(solution, Solution)
    return elapsed_s, solution


def fleet_of(family: str, seed: int, devices: int, codecs: int = CODECS) -> Problem:
    """Returns an instance of a family."""
    rng = np.random.default_rng(seed)
    if family == "binding":
        return binding_problem(rng, devices, CUTS, codecs=codecs)
    return random_problem(rng, devices, CUTS, codecs=codecs, whole=False)


def show(
    family: str, devices: int, options: int, results: Sequence[tuple[float, Solution]]
) -> None:
    times = [elapsed_s for elapsed_s, _ in results]
    gap = max(solution.gap for _, solution in results)
    print(
        f"{family:<10} {devices:>8} {options:>8} {median(times):>9.3f} {max(times):>8.3f} "
        f"{100 * gap:>8.4f} %",
        flush=True,
    )


def replan(seed: int, devices: int) -> tuple[float, Solution]:
    """Plans a round with hysteresis: the cuts of a round whose limits were looser by a third.

    Live plans have one codec.
    """
    problem = fleet_of("binding", seed, devices, codecs=1)
    _, before = measure(lambda: Optimal().solve(_looser(problem)))
    cuts = {plan.device: plan.option.cut for plan in before.devices}
    return measure(lambda: Hysteresis().solve(problem, Optimal(), cuts, rounds_left=10))


def _looser(problem: Problem) -> Problem:
    up, down = problem.uplink_bytes_per_s, problem.downlink_bytes_per_s
    return evolve(
        problem,
        uplink_bytes_per_s=None if up is None else up * (1 + _WAVERING),
        downlink_bytes_per_s=None if down is None else down * (1 + _WAVERING),
    )


def main() -> None:
    """Prints a row for every family and size of fleet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="instances of each row (default: 20)")
    seeds = range(parser.parse_args().seeds)
    print(
        f"{'family':<10} {'devices':>8} {'options':>8} {'median s':>9} {'worst s':>8} "
        f"{'worst gap':>10}"
    )
    for family in ("random", "binding"):
        for devices in SIZES:
            problems = (fleet_of(family, seed, devices) for seed in seeds)
            results = [measure(partial(Optimal().solve, one)) for one in problems]
            show(family, devices, CUTS * CODECS, results)
    for devices in SIZES:
        show("replanned", devices, CUTS, [replan(seed, devices) for seed in seeds])


if __name__ == "__main__":
    main()
