"""What every solution of every planner keeps to."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.planning.demand import StaticShares
from coordinator.planning.optimal import Optimal
from coordinator.planning.planners import SOLVERS
from coordinator.planning.problem import Problem, terms
from coordinator.planning.solution import Infeasible, Solution
from coordinator.planning.tables import tabulate
from coordinator.planning.unpaced import fair_rates
from tests.planning.instances import random_problem

seeds = st.integers(0, 100_000)
few = settings(max_examples=30, deadline=None)


def problem_of(seed: int) -> Problem:
    rng = np.random.default_rng(seed)
    return random_problem(rng, int(rng.integers(2, 7)), 5)


def time_of(problem: Problem) -> float:
    solution = Optimal().solve(problem)
    assert isinstance(solution, Solution)
    return solution.round_s


def keeps_to_the_limits(problem: Problem, solution: Solution) -> None:
    known = {device.id: device for device in problem.devices}
    for plan in solution.devices:
        device = known[plan.device]
        assert plan.option in device.options
        assert plan.option.device_memory_bytes <= device.memory_bytes
        assert plan.rates.up_bytes_per_s <= device.uplink_bytes_per_s * (1 + 1e-9)
        assert plan.rates.down_bytes_per_s <= device.downlink_bytes_per_s * (1 + 1e-9)
    if solution.sharing == "turns":
        return
    up = sum(plan.rates.up_bytes_per_s for plan in solution.devices)
    down = sum(plan.rates.down_bytes_per_s for plan in solution.devices)
    memory = sum(plan.option.replica_memory_bytes for plan in solution.devices)
    for amount, limit in (
        (up, problem.uplink_bytes_per_s),
        (down, problem.downlink_bytes_per_s),
        (memory, problem.server_memory_bytes),
    ):
        assert limit is None or amount <= limit * (1 + 1e-9)


def predicts_what_it_says(problem: Problem, solution: Solution) -> None:
    steps = problem.local_steps
    times = [terms(plan.option, plan.rates, steps).total_s for plan in solution.devices]
    work_s = sum(steps * plan.option.server_s for plan in solution.devices)
    queue_s = work_s / problem.server_workers
    longest = sum(times) if solution.sharing == "turns" else max(*times, queue_s)
    assert solution.round_s == pytest.approx(longest, rel=1e-12)
    assert solution.queue_s == pytest.approx(queue_s, rel=1e-12)
    assert solution.free_bound_s <= solution.own_free_bound_s * (1 + 1e-6)
    assert solution.own_free_bound_s <= solution.round_s * (1 + 1e-9)


@pytest.mark.parametrize("name", [name for name in SOLVERS if name != "genetic"])
@few
@given(seed=seeds)
def test_limits_hold_and_the_time_is_the_predicted_one(name: str, seed: int) -> None:
    problem = problem_of(seed)
    solution = SOLVERS[name].solve(problem)
    if isinstance(solution, Infeasible):
        assert solution.remedy
        return
    keeps_to_the_limits(problem, solution)
    predicts_what_it_says(problem, solution)
    named = [plan.device for plan in solution.devices] + [left.device for left in solution.left_out]
    assert sorted(named) == [device.id for device in problem.devices]
    assert solution == SOLVERS[name].solve(problem)


@few
@given(seed=seeds, factor=st.floats(1.0, 10.0))
def test_more_bandwidth_is_never_slower(seed: int, factor: float) -> None:
    problem = problem_of(seed)
    up, down = problem.uplink_bytes_per_s, problem.downlink_bytes_per_s
    more = evolve(
        problem,
        uplink_bytes_per_s=None if up is None else up * factor,
        downlink_bytes_per_s=None if down is None else down * factor,
    )
    assert time_of(more) <= time_of(problem) * (1 + 3e-6)


@few
@given(seed=seeds)
def test_one_device_less_is_never_slower(seed: int) -> None:
    problem = problem_of(seed)
    fewer = evolve(problem, devices=problem.devices[1:])
    assert time_of(fewer) <= time_of(problem) * (1 + 3e-6)


@few
@given(seed=seeds)
def test_the_order_of_devices_and_options_does_not_matter(seed: int) -> None:
    problem = problem_of(seed)
    turned = tuple(evolve(d, options=d.options[::-1]) for d in problem.devices[::-1])
    assert time_of(evolve(problem, devices=turned)) == pytest.approx(time_of(problem), rel=3e-6)


@few
@given(seed=seeds, price=st.floats(0.0, 1.0), patience=st.floats(1.01, 20.0))
def test_no_other_division_of_the_slack_costs_less(
    seed: int, price: float, patience: float
) -> None:
    problem = evolve(problem_of(seed), uplink_bytes_per_s=3e6, downlink_bytes_per_s=5e6)
    tables = tabulate(problem)
    deadline_s = float(tables.path_s.min(axis=1).max()) * patience
    prices = np.array([price, 1 - price, 0.0, 0.0])
    answer = StaticShares(tables).answer(prices, deadline_s)
    row, column = 0, int(answer.choice[0])
    slack_s = deadline_s - tables.compute_s[row, column]
    up, down = tables.up_bytes[row, column], tables.down_bytes[row, column]
    shortest = up / tables.up_cap[row, 0]
    longest = slack_s - down / tables.down_cap[row, 0]
    up_s = np.linspace(shortest, max(longest, shortest), 1001)
    rest_s = np.maximum(slack_s - up_s, down / tables.down_cap[row, 0])
    costs = price * up / up_s / 3e6 + (1 - price) * down / rest_s / 5e6
    assert answer.costs[row, column] <= costs.min() * (1 + 1e-9)
    assert answer.costs[row, column] == pytest.approx(costs.min(), rel=1e-2)


@given(st.lists(st.floats(0.1, 100.0), min_size=1, max_size=8), st.floats(0.1, 300.0))
def test_fair_rates_fill_the_link_and_favour_nobody(caps: list[float], limit: float) -> None:
    rates = fair_rates(np.array(caps), limit)
    assert rates.sum() == pytest.approx(min(limit, sum(caps)))
    held = rates < np.array(caps) * (1 - 1e-9)
    if held.any():
        assert rates[held] == pytest.approx(rates.max())
