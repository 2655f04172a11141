"""How many of those that come are taken in, and what the others are told."""

from __future__ import annotations

import pytest
from attrs import evolve

from coordinator.planning.newcomers import solve_with_room
from coordinator.planning.planners import SOLVERS
from coordinator.planning.problem import DeviceProblem
from coordinator.planning.solution import Infeasible, LeftOut, Solution
from runtime.ids import DeviceId
from tests.planning.test_planners import DEEP, MB, SHALLOW, board, fleet

LARGE = evolve(DEEP, replica_memory_bytes=30 * MB)
TRAINING = frozenset({DeviceId("b"), DeviceId("c")})


def answer(
    *devices: DeviceProblem, room_mb: float, planner: str = "optimal"
) -> Solution | Infeasible:
    problem = evolve(fleet(*devices), server_memory_bytes=room_mb * MB)
    return solve_with_room(problem, SOLVERS[planner].solve, TRAINING)


def taken_in(found: Solution | Infeasible) -> list[str]:
    assert isinstance(found, Solution), found
    return [plan.device for plan in found.devices]


def test_those_that_train_keep_their_places() -> None:
    found = answer(*(board(name, DEEP) for name in "abc"), room_mb=45)
    assert taken_in(found) == ["b", "c"]
    told = (
        "there is no room for it yet: the replicas of 3 devices take at least 60.0 MB and the "
        "server has 45.0 MB; give the server 60.0 MB, allow deeper cuts, or train with 2 of the "
        "devices"
    )
    assert found.left_out == (LeftOut(DeviceId("a"), told),)


@pytest.mark.parametrize(("room_mb", "others"), [(40, ""), (60, "d"), (80, "de"), (110, "ade")])
def test_those_come_first_that_take_least(room_mb: float, others: str) -> None:
    boards = [board("a", LARGE), *(board(name, DEEP) for name in "bcde")]
    assert taken_in(answer(*boards, room_mb=room_mb)) == sorted("bc" + others)


def test_who_waits_hears_what_would_make_room_for_one_more() -> None:
    found = answer(*(board(name, DEEP) for name in "bcdefg"), room_mb=60)
    assert taken_in(found) == ["b", "c", "d"]
    assert all("give the server 80.0 MB" in one.reason for one in found.left_out)


def test_a_board_that_nothing_fits_is_told_so() -> None:
    small = board("d", DEEP, memory_bytes=1 * MB)
    found = answer(*(board(name, DEEP) for name in "abc"), small, room_mb=45)
    assert taken_in(found) == ["b", "c"]
    reasons = {one.device: one.reason for one in found.left_out}
    assert reasons[DeviceId("d")].startswith("its smallest option")
    assert "no room" in reasons[DeviceId("a")]


def test_where_those_that_train_have_no_room_there_is_no_plan() -> None:
    found = answer(*(board(name, DEEP) for name in "abc"), room_mb=30)
    assert isinstance(found, Infeasible)
    assert "the replicas of 3 devices" in found.reason


def test_whoever_shares_no_cut_with_those_that_train_waits_too() -> None:
    boards = (board("a", SHALLOW), board("b", DEEP), board("c", DEEP))
    found = answer(*boards, room_mb=500, planner="common-cut")
    assert taken_in(found) == ["b", "c"]
    assert "no cut fits all 3 devices" in found.left_out[0].reason
