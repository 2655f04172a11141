"""Plain split learning: a round is one device's, in turn."""

from __future__ import annotations

import attrs
import pytest

from coordinator.plan import Knowledge
from coordinator.planning.live_planner import LivePlanner
from coordinator.planning.planners import SOLVERS
from coordinator.planning.problem import Problem
from coordinator.planning.solution import Infeasible
from tests.profiling.live_world import LiveWorld, steady

BOARDS = ("board-0", "board-1", "board-2")


def world_in_turns(rounds: int = 6) -> LiveWorld:
    world = LiveWorld(steady(5e10), steady(1e10), steady(2e10), rounds=rounds)
    assert isinstance(world.planner, LivePlanner)
    world.planner = attrs.evolve(world.planner, solver=SOLVERS["sequential"], turns=True)
    world.start_all()
    world.run()
    return world


def test_every_device_has_its_turn() -> None:
    rounds = world_in_turns().records.streams["rounds"]
    assert [list(entry["devices"]) for entry in rounds] == [[name] for name in BOARDS] * 2


def test_the_plan_says_why_the_others_wait() -> None:
    (first, *_) = world_in_turns(rounds=1).records.streams["plans"]
    assert {one["device"]: one["reason"] for one in first["left_out"]} == dict.fromkeys(
        BOARDS[1:], "it has its turn later"
    )


def test_a_turn_takes_what_was_foretold() -> None:
    for entry in world_in_turns().records.streams["rounds"][3:]:
        assert entry["duration_s"] == pytest.approx(entry["predicted_s"], rel=0.15)


def small(problem: Problem, *names: str) -> Problem:
    """Returns the problem with boards that nothing fits."""
    devices = (
        attrs.evolve(one, memory_bytes=1.0) if one.id in names else one for one in problem.devices
    )
    return attrs.evolve(problem, devices=tuple(devices))


def all_at_once() -> tuple[LivePlanner, Problem]:
    """Returns the planner that gives turns, and the problem of all boards."""
    world = world_in_turns(rounds=1)
    planner, known = world.planner, world.measured.profiles
    assert isinstance(planner, LivePlanner)
    knowledge = Knowledge(known, present=frozenset(known))
    return planner, attrs.evolve(planner, turns=False).problem(1, knowledge)[1]


@pytest.mark.parametrize("round", [1, 2, 3])
def test_a_board_that_no_cut_fits_has_no_turn(round: int) -> None:
    planner, problem = all_at_once()
    left_out, alone = planner._in_turn(round, small(problem, BOARDS[1]))
    turns = (BOARDS[0], BOARDS[2])
    assert [one.id for one in alone.devices] == [turns[(round - 1) % 2]]
    assert (
        "its smallest option" in {one.device: one.reason for one in left_out}[problem.devices[1].id]
    )


def test_where_no_cut_fits_any_board_the_reasons_are_told() -> None:
    planner, problem = all_at_once()
    left_out, rest = planner._in_turn(2, small(problem, *BOARDS))
    answer = planner.solver.solve(rest)
    assert isinstance(answer, Infeasible)
    assert left_out == ()
    assert all(f"{name}: its smallest option" in answer.reason for name in BOARDS)
