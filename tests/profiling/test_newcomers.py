"""A board that comes when the server has no room for it waits; those that train go on."""

from __future__ import annotations

from typing import Literal

import attrs

from coordinator.planning.live_planner import LivePlanner
from coordinator.policy import Policy
from runtime.exits import Exit
from runtime.ids import COORDINATOR, DeviceId
from tests.profiling.live_world import LiveWorld, steady

Lost = Literal["wait", "drop"]
REPLICA_BYTES = 8_000
"""What a board takes of the server's memory, whatever its cut."""
BOARDS = [DeviceId(f"board-{index}") for index in range(4)]


def training_world(room_for: int, *, rounds: int = 5, lost: Lost = "wait") -> LiveWorld:
    """Returns a world whose first two boards train round 2, with room for so many."""
    world = LiveWorld(*[steady(1e10)] * len(BOARDS), rounds=rounds)
    assert isinstance(world.planner, LivePlanner)
    limits = attrs.evolve(world.planner.limits, server_memory_bytes=room_for * REPLICA_BYTES)
    world.planner = attrs.evolve(world.planner, limits=limits)
    world.policy = Policy(lost, quorum=1, gather_limit_s=5.0)
    for name in (COORDINATOR, *BOARDS[:2]):
        world.start(name)
    world.until(lambda: world.coordinator.round == 2)
    return world


def devices_of(world: LiveWorld, round: int) -> list[str]:
    return [one.device for one in world.plans[round].assignments]


def reasons(world: LiveWorld, round: int) -> dict[str, str]:
    return {one.device: one.reason for one in world.plans[round].left_out}


def test_who_comes_when_there_is_no_room_is_left_out_with_what_would_make_some() -> None:
    world = training_world(room_for=2)
    world.start(BOARDS[2])
    assert world.run().code is Exit.OK
    assert devices_of(world, 5) == BOARDS[:2]
    reason = reasons(world, 5)[BOARDS[2]]
    assert reason.startswith("there is no room for it yet: the replicas of 3 devices take")
    assert "give the server" in reason


def test_of_those_that_come_as_many_are_taken_in_as_there_is_room_for() -> None:
    world = training_world(room_for=3)
    for name in BOARDS[2:]:
        world.start(name)
    assert world.run().code is Exit.OK
    assert devices_of(world, 5) == BOARDS[:3]
    assert "no room for it yet" in reasons(world, 5)[BOARDS[3]]


def test_who_waits_takes_the_place_of_one_that_is_gone() -> None:
    world = training_world(room_for=2, rounds=8, lost="drop")
    world.start(BOARDS[2])
    world.until(lambda: world.coordinator.round == 4)
    assert devices_of(world, 4) == BOARDS[:2]
    world.kill(BOARDS[0])
    assert world.run().code is Exit.OK
    assert devices_of(world, 8) == BOARDS[1:3]


def test_a_fleet_that_is_too_large_from_the_beginning_is_refused() -> None:
    world = LiveWorld(*[steady(1e10)] * len(BOARDS), rounds=2)
    assert isinstance(world.planner, LivePlanner)
    limits = attrs.evolve(world.planner.limits, server_memory_bytes=3 * REPLICA_BYTES)
    world.planner = attrs.evolve(world.planner, limits=limits)
    world.start_all()
    halt = world.run()
    assert halt.code is Exit.FLEET
    assert "round 1 cannot be planned: the replicas of 4 devices" in halt.reason


def test_a_run_that_is_resumed_goes_on_with_as_many_as_there_is_room_for() -> None:
    """Nobody knows then who trained before: as many go on."""
    world = training_world(room_for=2)
    world.start(BOARDS[2])
    world.until(lambda: world.coordinator.round == 4)
    world.kill(COORDINATOR)
    world.start(COORDINATOR)
    assert world.run().code is Exit.OK
    assert len(devices_of(world, 5)) == 2
