"""Plain split learning: a round is one device's, in turn."""

from __future__ import annotations

import attrs
import pytest

from coordinator.plan import Knowledge, Plan
from coordinator.planning.live_planner import LivePlanner
from coordinator.planning.planners import SOLVERS
from coordinator.planning.solution import Infeasible
from runtime.ids import DeviceId
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


@pytest.mark.parametrize("round", [1, 2, 3])
def test_a_board_that_no_cut_fits_has_no_turn(round: int) -> None:
    world = world_in_turns(rounds=1)
    known, small_board = world.measured.profiles, DeviceId(BOARDS[1])
    small = attrs.evolve(known[small_board], memory_bytes=1.0)
    knowledge = Knowledge({**known, small_board: small}, present=frozenset(known))
    plan = world.planner.plan(round, knowledge)
    assert isinstance(plan, Plan)
    turns = (BOARDS[0], BOARDS[2])
    assert [one.device for one in plan.assignments] == [turns[(round - 1) % 2]]
    assert "its smallest option" in {o.device: o.reason for o in plan.left_out}[small_board]


def test_where_no_cut_fits_any_board_the_reasons_are_told() -> None:
    world = world_in_turns(rounds=1)
    known = world.measured.profiles
    small = {name: attrs.evolve(one, memory_bytes=1.0) for name, one in known.items()}
    answer = world.planner.plan(2, Knowledge(small, present=frozenset(known)))
    assert isinstance(answer, Infeasible)
    assert all(f"{name}: its smallest option" in answer.reason for name in BOARDS)
