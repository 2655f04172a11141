"""What lending makes of plans: never worse than static shares, never better than physics."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from coordinator.planning.fluid import Link, lent_terms
from coordinator.planning.lending import Lending, foretold, guaranteed
from coordinator.planning.optimal import Optimal
from coordinator.planning.planners import SOLVERS
from coordinator.planning.problem import Problem, Rates, terms
from coordinator.planning.solution import DevicePlan, Solution
from tests.planning.instances import random_problem

_ROUNDING = 1 + 1e-6
LIVE = ("optimal", "alternating", "equal-bandwidth", "common-cut", "unpaced")


def _problem(seed: int, devices: int = 4) -> Problem:
    return random_problem(np.random.default_rng(seed), devices, 9, whole=False)


def _without_queue(problem: Problem) -> Problem:
    """Returns the problem with a worker for every device, so that nobody waits for one."""
    return evolve(problem, server_workers=len(problem.devices))


@pytest.mark.parametrize("seed", range(10))
def test_a_device_alone_takes_what_its_link_allows(seed: int) -> None:
    problem = evolve(_problem(seed, devices=1), uplink_bytes_per_s=None, downlink_bytes_per_s=None)
    device = problem.devices[0]
    rates = Rates(device.uplink_bytes_per_s, device.downlink_bytes_per_s)
    for option in device.options:
        alone = terms(option, rates, problem.local_steps)
        plan = DevicePlan(device.id, option, rates, alone)
        (told,) = lent_terms(problem, [plan], [rates], steps=problem.local_steps)
        assert told.total_s == pytest.approx(alone.total_s)


@pytest.mark.parametrize("seed", range(40))
def test_lending_is_never_slower_than_the_same_shares_held_static(seed: int) -> None:
    problem = _without_queue(_problem(seed))
    static = Optimal().solve(problem)
    if not isinstance(static, Solution):
        return
    lent = foretold(problem, static, steps=1000)
    for before, after in zip(static.devices, lent.devices, strict=True):
        assert after.terms.total_s <= before.terms.total_s * _ROUNDING


@pytest.mark.parametrize("seed", range(40))
def test_no_lent_plan_beats_the_bound_of_every_schedule(seed: int) -> None:
    problem = _problem(seed)
    lent = Lending().solve(problem)
    if isinstance(lent, Solution):
        assert lent.sharing == "lent"
        assert lent.round_s * _ROUNDING >= lent.own_free_bound_s
        assert lent.own_free_bound_s * _ROUNDING >= lent.free_bound_s


@pytest.mark.parametrize("seed", range(40))
def test_the_searched_plan_loses_to_no_other(seed: int) -> None:
    problem = _problem(seed)
    best = Lending().solve(problem)
    for name in LIVE:
        other = Lending(SOLVERS[name]).solve(problem)
        if isinstance(other, Solution) and best.left_out == other.left_out:
            assert isinstance(best, Solution)
            assert best.round_s <= other.round_s * 1.002, name


@pytest.mark.parametrize("seed", range(20))
def test_the_searched_plan_keeps_to_every_memory(seed: int) -> None:
    problem = _problem(seed)
    best = Lending().solve(problem)
    if isinstance(best, Solution):
        memories = {device.id: device.memory_bytes for device in problem.devices}
        for plan in best.devices:
            assert plan.option.device_memory_bytes <= memories[plan.device]
        replicas = sum(plan.option.replica_memory_bytes for plan in best.devices)
        assert replicas <= (problem.server_memory_bytes or np.inf) * _ROUNDING


def test_steps_beyond_those_played_go_on_as_they_did() -> None:
    problem = evolve(_problem(3), local_steps=60)
    static = Optimal().solve(problem)
    assert isinstance(static, Solution)
    weights = guaranteed(static)
    few = lent_terms(problem, static.devices, weights, steps=15)
    all_of_them = lent_terms(problem, static.devices, weights, steps=60)
    guessed_s, played_s = (max(one.total_s for one in told) for told in (few, all_of_them))
    assert guessed_s == pytest.approx(played_s, rel=0.05)


_rates = st.floats(1.0, 1e6)


@given(st.lists(st.tuples(_rates, _rates), min_size=1, max_size=8), _rates)
def test_a_link_is_full_or_everybody_is_at_the_cap(
    senders: list[tuple[float, float]], limit: float
) -> None:
    caps, weights = [cap for cap, _ in senders], [weight for _, weight in senders]
    rates = Link(limit, caps, weights).rates(range(len(senders)))
    assert sum(rates) == pytest.approx(min(limit, sum(caps)))
    assert all(rate <= cap * _ROUNDING for rate, cap in zip(rates, caps, strict=True))


@given(st.lists(st.tuples(_rates, _rates), min_size=2, max_size=8), _rates)
def test_nobody_below_the_cap_gets_less_for_the_weight_than_another(
    senders: list[tuple[float, float]], limit: float
) -> None:
    caps, weights = [cap for cap, _ in senders], [weight for _, weight in senders]
    rates = Link(limit, caps, weights).rates(range(len(senders)))
    most = max(rate / weight for rate, weight in zip(rates, weights, strict=True))
    for rate, cap, weight in zip(rates, caps, weights, strict=True):
        assert rate >= cap / _ROUNDING or rate / weight >= most / _ROUNDING
