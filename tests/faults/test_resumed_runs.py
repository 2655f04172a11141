"""Whom a coordinator waits for that goes on with a run, in the whole virtual world."""

from __future__ import annotations

import attrs
import pytest

from coordinator.due import still_due
from coordinator.plan import Assignment, Plan
from coordinator.planning.solution import NOT_HERE, LeftOut
from coordinator.policy import BACK_WITHIN_S, Policy
from runtime.exits import Exit
from runtime.ids import COORDINATOR, DeviceId
from tests.faults.test_lost_devices import DROP, events, parts, rounds, run, world_of
from tests.world import NullWorld

ONE, TWO, THREE = (DeviceId(f"board-{index}") for index in range(3))


def closes(world: NullWorld, round: int) -> None:
    """Runs until a round is closed and the next one is trained."""
    while (
        len(world.records.streams.get("rounds", [])) < round
        or world.lives[COORDINATOR].party.state.stage != "training"
    ):
        assert world.clock.step()
        assert world.clock.now() < 60.0


def resume(world: NullWorld) -> float:
    """Starts the coordinator again; returns how long the rest of the run takes."""
    began_s = world.clock.now()
    world.start(COORDINATOR)
    world.run(began_s + 200.0)
    return world.clock.now() - began_s


@pytest.mark.parametrize("policy", [Policy(), DROP])
def test_a_board_that_had_left_is_not_waited_for(policy: Policy) -> None:
    world = world_of(policy)
    world.start_all()
    world.clock.call_at(0.3, lambda: world.lives[TWO].host.ask_to_stop())
    closes(world, 2)
    world.kill(COORDINATOR)
    assert resume(world) < 10.0
    assert parts(world)[2:] == [[ONE, THREE]] * 2


def test_one_that_left_in_the_last_closed_round_is_not_waited_for() -> None:
    """No plan went on record since."""
    world = world_of(Policy())
    world.start_all()
    for _ in range(2):
        world.clock.call_at(0.3, lambda: world.lives[TWO].host.ask_to_stop())
    closes(world, 1)
    world.kill(COORDINATOR)
    world.records.streams["plans"].pop()
    assert resume(world) < 10.0
    assert parts(world) == [[ONE, THREE]] * 4


def test_one_that_was_dropped_is_not_waited_for() -> None:
    world = world_of(DROP)
    world.start_all()
    world.clock.call_at(0.3, lambda: world.kill(TWO))
    closes(world, 2)
    world.kill(COORDINATOR)
    assert resume(world) < 10.0
    assert parts(world)[2:] == [[ONE, THREE]] * 2


def test_one_that_dies_with_its_coordinator_is_dropped_when_all_others_may_be_back() -> None:
    world = world_of(DROP)
    world.start_all()
    closes(world, 1)
    for name in (COORDINATOR, TWO):
        world.kill(name)
    assert BACK_WITHIN_S < resume(world) < BACK_WITHIN_S + 10.0
    assert [one["reason"] for one in rounds(world)[1]["dropped"]] == ["it is absent"]
    assert parts(world)[1:] == [[ONE, THREE]] * 3


def test_the_time_for_coming_back_begins_with_the_connection() -> None:
    world = world_of(DROP)
    world.start_all()
    closes(world, 1)
    world.restart_broker(60.0, keeps=False)
    world.kill(COORDINATOR)
    assert resume(world) > 60.0
    assert parts(world) == [[ONE, TWO, THREE]] * 4


def test_one_that_dies_with_its_coordinator_is_waited_for_where_rounds_wait() -> None:
    calm = run(world_of(Policy()))
    world = world_of(Policy())
    world.start_all()
    closes(world, 1)
    for name in (COORDINATOR, TWO):
        world.kill(name)
    world.clock.call_at(world.clock.now() + 100.0, lambda: world.start(TWO))
    assert resume(world) > 100.0
    assert world.chain == calm.chain


def test_the_wait_of_a_resumed_run_has_the_limit_of_a_round() -> None:
    world = world_of(Policy(wait_limit_s=30.0))
    world.start_all()
    closes(world, 1)
    for name in (COORDINATOR, TWO):
        world.kill(name)
    assert resume(world) < 35.0
    halt = world.halts[COORDINATOR]
    assert halt.code is Exit.FLEET
    assert f"{TWO} (absent)" in halt.reason


def test_a_new_run_waits_for_boards_that_left_another() -> None:
    world = world_of(Policy(), rounds=1)
    for name in world.names:
        world.start(name)
    world.clock.call_at(0.1, lambda: world.lives[TWO].host.ask_to_stop())
    world.clock.call_at(1.0, lambda: world.start(COORDINATOR))
    world.clock.call_at(50.0, lambda: world.start(TWO))
    while world.clock.now() < 2.0:
        assert world.clock.step()
    world.run()
    assert world.clock.now() > 50.0
    assert parts(world) == [[ONE, TWO, THREE]]
    assert events(world, "device dropped") == []


def plan(round: int, *left_out: LeftOut) -> Plan:
    part = Assignment(ONE, "middle", "fp32", "fp32", 4)
    return Plan(round, "sequential", (part,), left_out=left_out)


class TestDue:
    LATER = LeftOut(TWO, "it has its turn later")
    GONE = LeftOut(THREE, NOT_HERE)

    def test_without_a_plan_nothing_is_known(self) -> None:
        assert still_due([], {}) is None

    def test_those_whose_turn_comes_later_are_due(self) -> None:
        assert still_due([plan(1, self.LATER, self.GONE)], {}) == frozenset({ONE, TWO})

    def test_the_last_plan_counts(self) -> None:
        closed = {"round": 1, "dropped": []}
        assert still_due([plan(1, self.LATER), plan(2)], closed) == frozenset({ONE})

    def test_what_was_dropped_in_an_earlier_round_says_nothing(self) -> None:
        closed = {"round": 1, "dropped": [{"device": TWO}]}
        assert still_due([plan(1, self.LATER)], closed) == frozenset({ONE})
        assert still_due([plan(1), plan(2, self.LATER)], closed) == frozenset({ONE, TWO})

    def test_a_limit_that_is_set_holds_for_resumed_runs_too(self) -> None:
        assert DROP.gathers_for_s(is_resumed=False) is None
        assert Policy().gathers_for_s(is_resumed=True) is None
        assert attrs.evolve(DROP, gather_limit_s=3.0).gathers_for_s(is_resumed=True) == 3.0
