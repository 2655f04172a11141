"""Each planner on fleets small enough to know the answer, and what is said when there is none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from attrs import evolve

from coordinator.planning.genetic import Genetic
from coordinator.planning.planners import SOLVERS
from coordinator.planning.problem import DeviceProblem, Option, Problem
from coordinator.planning.solution import Infeasible, Solution
from runtime.ids import DeviceId
from tests.planning.instances import random_problem

MB = 1e6
SHALLOW = Option("shallow", "int8", "int8", 0.1, 0.2, 0.1, 2 * MB, 1 * MB, 1 * MB, 10 * MB, 90 * MB)
DEEP = Option("deep", "int8", "int8", 0.5, 1.0, 0.1, 0.2 * MB, 0.1 * MB, 4 * MB, 40 * MB, 20 * MB)
WHOLE = Option("whole", "fp32", "fp32", 0.6, 1.2, 0.0, 0, 0, 5 * MB, 50 * MB, 0)


def board(name: str, *options: Option, memory_bytes: float = 100 * MB) -> DeviceProblem:
    return DeviceProblem(DeviceId(name), options, 10 * MB, 10 * MB, memory_bytes)


def fleet(*devices: DeviceProblem, budget: float | None = None) -> Problem:
    return Problem(devices, local_steps=10, uplink_bytes_per_s=budget, downlink_bytes_per_s=budget)


def solve(name: str, problem: Problem) -> Solution:
    solution = SOLVERS[name].solve(problem)
    assert isinstance(solution, Solution)
    return solution


def cuts(solution: Solution) -> list[str]:
    return [plan.option.cut for plan in solution.devices]


def test_a_device_alone_gets_the_whole_link_and_its_fastest_cut() -> None:
    solution = solve("optimal", fleet(board("a", SHALLOW, DEEP)))
    terms = solution.devices[0].terms
    assert cuts(solution) == ["shallow"]
    assert terms.upload_s == pytest.approx(2.0)
    assert terms.state_down_s == pytest.approx(0.1)
    assert solution.round_s == pytest.approx(0.1 + 4 + 2.0 + 1.0 + 0.1)
    assert solution.free_bound_s == pytest.approx(solution.round_s)


def test_a_narrow_link_moves_the_cut_deeper() -> None:
    assert cuts(solve("optimal", fleet(board("a", SHALLOW, DEEP), budget=1 * MB))) == ["deep"]


def test_two_equal_boards_share_a_budget_equally() -> None:
    problem = fleet(board("a", DEEP), board("b", DEEP), budget=1 * MB)
    solution = solve("optimal", problem)
    for plan in solution.devices:
        assert plan.rates.up_bytes_per_s == pytest.approx(0.5 * MB, rel=1e-6)
        assert plan.rates.down_bytes_per_s == pytest.approx(0.5 * MB, rel=1e-6)
    assert solution.round_s == pytest.approx(solve("equal-bandwidth", problem).round_s, rel=1e-6)


def test_the_server_queue_can_be_the_bottleneck() -> None:
    busy = evolve(SHALLOW, server_s=2.0)
    boards = [board(name, busy) for name in "abcd"]
    solution = solve("optimal", fleet(*boards))
    assert solution.bottleneck is None
    assert solution.round_s == pytest.approx(4 * 10 * 2.0)
    helped = solve("optimal", evolve(fleet(*boards), server_workers=4))
    assert helped.bottleneck is not None
    assert helped.round_s < solution.round_s / 3


def test_replica_memory_pushes_one_device_deeper() -> None:
    slow = evolve(DEEP, forward_s=5.0)
    problem = fleet(board("a", SHALLOW, DEEP), board("b", SHALLOW, slow))
    assert cuts(solve("optimal", problem)) == ["shallow", "shallow"]
    tight = evolve(problem, server_memory_bytes=120 * MB)
    assert cuts(solve("optimal", tight)) == ["deep", "shallow"]


def test_a_device_that_nothing_fits_is_left_out_with_the_reason() -> None:
    small = board("small", SHALLOW, DEEP, memory_bytes=5 * MB)
    solution = solve("optimal", fleet(small, board("b", SHALLOW), board("none")))
    assert [plan.device for plan in solution.devices] == ["b"]
    reasons = {left.device: left.reason for left in solution.left_out}
    assert "cut shallow, takes 10.0 MB and it has 5.0 MB" in reasons[DeviceId("small")]
    assert reasons[DeviceId("none")] == "no cut is legal for it"


@pytest.mark.parametrize("name", [name for name in SOLVERS if name != "genetic"])
def test_a_fleet_without_any_fitting_device_is_refused(name: str) -> None:
    result = SOLVERS[name].solve(fleet(board("small", DEEP, memory_bytes=1 * MB)))
    assert isinstance(result, Infeasible)
    assert "small: its smallest option, cut deep, takes 40.0 MB" in result.reason
    assert "memory" in result.remedy
    assert isinstance(SOLVERS[name].solve(fleet()), Infeasible)


@pytest.mark.parametrize("name", ["optimal", "alternating", "equal-bandwidth", "unpaced"])
def test_too_small_a_server_is_refused_with_what_it_needs(name: str) -> None:
    boards = [board(letter, SHALLOW, DEEP) for letter in "abc"]
    problem = evolve(fleet(*boards), server_memory_bytes=45 * MB)
    result = SOLVERS[name].solve(problem)
    assert isinstance(result, Infeasible)
    assert "at least 60.0 MB and the server has 45.0 MB" in result.reason
    assert "give the server 60.0 MB" in result.remedy
    assert result.remedy.endswith("allow deeper cuts, or train with 2 of the devices")
    too_small = SOLVERS[name].solve(evolve(problem, server_memory_bytes=MB))
    assert isinstance(too_small, Infeasible)
    assert too_small.remedy == "give the server 60.0 MB, or allow deeper cuts"
    enough = evolve(problem, server_memory_bytes=60 * MB)
    assert cuts(solve(name, enough)) == ["deep"] * 3
    assert len(solve(name, fleet(*boards[:2])).devices) == 2


def test_common_cut_gives_all_the_same_and_says_when_it_cannot() -> None:
    slow = evolve(DEEP, forward_s=5.0)
    problem = fleet(board("a", SHALLOW, DEEP), board("b", SHALLOW, slow), budget=2 * MB)
    assert len(set(cuts(solve("common-cut", problem)))) == 1
    result = SOLVERS["common-cut"].solve(fleet(board("a", SHALLOW), board("b", DEEP)))
    assert isinstance(result, Infeasible)
    assert "a can take only shallow" in result.reason


def test_full_local_trains_whole_models_and_leaves_small_boards_out() -> None:
    small = board("small", SHALLOW, WHOLE, memory_bytes=20 * MB)
    solution = solve("full-local", fleet(board("big", SHALLOW, WHOLE), small))
    assert cuts(solution) == ["whole"]
    assert solution.left_out[0].reason == "it cannot hold the whole model"
    assert solution.devices[0].terms.upload_s == 0
    assert solution.devices[0].terms.state_up_s == pytest.approx(0.5)


def test_sequential_takes_as_long_as_all_devices_one_by_one() -> None:
    problem = fleet(board("a", SHALLOW), board("b", DEEP), budget=1 * MB)
    alone = [solve("optimal", fleet(device, budget=1 * MB)).round_s for device in problem.devices]
    solution = solve("sequential", problem)
    assert solution.round_s == pytest.approx(sum(alone))
    tight = evolve(problem, server_memory_bytes=90 * MB)
    assert solve("sequential", tight).round_s == pytest.approx(sum(alone))


def test_unpaced_takes_the_optimal_cuts_at_fair_rates() -> None:
    problem = random_problem(np.random.default_rng(8), 6, 5)
    assert cuts(solve("unpaced", problem)) == cuts(solve("optimal", problem))


def test_a_cost_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not a number"):
        SOLVERS["optimal"].solve(fleet(board("a", evolve(SHALLOW, forward_s=math.nan))))


def test_genetic_keeps_to_the_limits_and_repeats_itself() -> None:
    pytest.importorskip("pymoo")
    problem = random_problem(np.random.default_rng(4), 5, 5)
    solver = Genetic(generations=6, population=12)
    solution, best = solver.solve(problem), SOLVERS["optimal"].solve(problem)
    assert isinstance(solution, Solution)
    assert isinstance(best, Solution)
    assert solution.round_s >= best.round_s * (1 - 2e-6)
    memory = sum(plan.option.replica_memory_bytes for plan in solution.devices)
    assert problem.server_memory_bytes is None or memory <= problem.server_memory_bytes
    assert solver.solve(problem) == solution
