"""`optimal` equals trying everything, and never loses."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from attrs import evolve

from coordinator.planning.branch_and_bound import Effort
from coordinator.planning.optimal import Optimal
from coordinator.planning.planners import SOLVERS
from coordinator.planning.problem import DeviceProblem, Option, Problem
from coordinator.planning.solution import Infeasible, Solution
from coordinator.planning.tables import tabulate
from runtime.ids import DeviceId
from tests.planning.brute_force import best_round_s
from tests.planning.instances import random_problem

CUTS = {2: 6, 3: 4, 4: 3}
RIVALS = ("alternating", "equal-bandwidth", "common-cut", "unpaced", "full-local", "sequential")


def small(seed: int) -> Problem:
    rng = np.random.default_rng(seed)
    devices = int(rng.integers(2, 5))
    return random_problem(rng, devices, CUTS[devices], whole=seed % 2 == 0)


def large(seed: int) -> Problem:
    rng = np.random.default_rng(10_000 + seed)
    return random_problem(rng, int(rng.integers(20, 60)), 10, codecs=2)


def equals_brute_force(seed: int) -> str:
    """Checks an instance and returns what bound it."""
    problem = small(seed)
    shortest_s = best_round_s(problem)
    solution = Optimal().solve(problem)
    if isinstance(solution, Infeasible):
        assert shortest_s == math.inf
        return "infeasible"
    assert solution.round_s == pytest.approx(shortest_s, rel=3e-6)
    assert solution.gap <= 2e-6
    assert solution.static_bound_s <= shortest_s * (1 + 1e-6)
    assert solution.free_bound_s <= shortest_s * (1 + 1e-6)
    return binding(problem, solution)


def binding(problem: Problem, solution: Solution) -> str:
    """Names the limit whose lifting shortens the round most."""
    lifted = {
        "uplink": evolve(problem, uplink_bytes_per_s=None),
        "downlink": evolve(problem, downlink_bytes_per_s=None),
        "server": evolve(problem, server_workers=1000),
        "server memory": evolve(problem, server_memory_bytes=None),
        "board memory": evolve(
            problem, devices=tuple(evolve(d, memory_bytes=math.inf) for d in problem.devices)
        ),
    }
    times = {"nothing": solution.round_s * (1 - 1e-6)}
    for name, other in lifted.items():
        result = Optimal().solve(other)
        assert isinstance(result, Solution)
        times[name] = result.round_s
    return min(times, key=lambda name: times[name])


def never_loses(seed: int) -> float:
    """Checks an instance against all planners and returns the gap."""
    problem = large(seed)
    best = Optimal().solve(problem)
    assert isinstance(best, Solution)
    for name in RIVALS:
        rival = SOLVERS[name].solve(problem)
        if isinstance(rival, Infeasible) or len(rival.devices) < len(best.devices):
            continue
        if name == "sequential" and problem.server_memory_bytes is not None:
            continue  # It holds one replica at a time and may take what all together cannot.
        assert best.round_s <= rival.round_s * (1 + Effort().tolerance), name
        assert rival.round_s >= best.static_bound_s * (1 - 1e-9), name
    return best.gap


def test_it_equals_brute_force_whatever_binds() -> None:
    bound_by = Counter(equals_brute_force(seed) for seed in range(60))
    assert {"uplink", "downlink", "server", "server memory", "board memory"} <= set(bound_by)


@pytest.mark.campaign
def test_it_equals_brute_force_on_500_instances() -> None:
    bound_by = Counter(equals_brute_force(seed) for seed in range(500))
    assert len(bound_by) >= 6, bound_by
    assert min(bound_by.values()) >= 3, bound_by


def test_it_never_loses_and_certifies_one_percent() -> None:
    assert max(never_loses(seed) for seed in range(100)) <= 0.01


@pytest.mark.campaign
def test_it_never_loses_on_1000_instances() -> None:
    assert max(never_loses(seed) for seed in range(1000)) <= 0.01


def test_a_thousand_devices_are_planned_within_one_percent() -> None:
    rng = np.random.default_rng(3)
    problem = random_problem(rng, 1000, 30, codecs=3, whole=False)
    solution = Optimal().solve(problem)
    assert isinstance(solution, Solution)
    assert len(solution.devices) == 1000
    assert solution.gap <= 0.01


@pytest.mark.parametrize("order", [1, -1])
def test_of_cuts_that_take_the_same_time_the_one_that_sends_least_is_left(order: int) -> None:
    """In front of a pooling and behind it: a busy server makes no difference between them."""
    wide = Option("wide", "int8", "int8", 0.1, 0.2, 0.001, 9e4, 9e4, 1e4, 0.0, 2e4)
    narrow = evolve(wide, cut="narrow", up_bytes=2e4, down_bytes=2e4)
    options = (wide, narrow)[::order]
    table = tabulate(Problem((DeviceProblem(DeviceId("one"), options, 1e6, 1e6),), local_steps=10))
    left = table.undominated()
    assert [options[index].cut for index in left.ids[left.legal]] == ["narrow"]


def test_one_direction_is_solved_to_the_tolerance_without_branching() -> None:
    problem = evolve(large(1), downlink_bytes_per_s=None, server_memory_bytes=None)
    problem = evolve(problem, server_workers=1000, uplink_bytes_per_s=2e6)
    solution = Optimal().solve(problem)
    alternating = SOLVERS["alternating"].solve(problem)
    assert isinstance(solution, Solution)
    assert isinstance(alternating, Solution)
    assert solution.gap <= 2e-6
    assert alternating.round_s >= solution.round_s * (1 - 1e-9)
