"""Plain split learning: a round is one device's, in turn."""

from __future__ import annotations

import attrs
import pytest

from coordinator.planning.live_planner import LivePlanner
from coordinator.planning.planners import SOLVERS
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
