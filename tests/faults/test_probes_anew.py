"""Devices are measured for a round that they already had a part in: it is made again."""

from __future__ import annotations

from coordinator.policy import Policy
from runtime.exits import Exit
from runtime.ids import COORDINATOR, DeviceId
from tests.profiling.live_world import LiveWorld, steady

ONE, TWO = DeviceId("board-0"), DeviceId("board-1")
LOST_S = 6.0


def world_of(policy: Policy) -> LiveWorld:
    world = LiveWorld(steady(1e10), steady(1e10), rounds=2, local_steps=20)
    world.policy = policy
    return world


def is_at_step(world: LiveWorld, device: DeviceId, number: int) -> bool:
    """Tells whether a device is amid its attempt with this number."""
    duty = world.coordinator.duties.get(device)
    return duty is not None and duty.attempt.number == number and duty.step > 0


def lose(world: LiveWorld, *devices: DeviceId) -> None:
    """Silences devices for so long that the round goes on without them."""
    for device in devices:
        world.lives[device].transport.silence(15.0)
    back_s = world.clock.now() + LOST_S
    world.until(lambda: world.clock.now() >= back_s)
    for device in devices:
        world.lives[device].transport.resume()


def events(world: LiveWorld, name: str) -> list[str]:
    found = world.records.streams["events"]
    return [one.get("device", "") for one in found if one["event"] == name]


def test_another_board_is_measured_for_the_round_that_its_name_trained() -> None:
    world = world_of(Policy(lost="drop", quorum=2))
    world.start_all()
    world.until(lambda: is_at_step(world, TWO, 1))
    world.kill(TWO)
    world.paced.held = {**world.paced.held, TWO: 60}
    world.start(TWO)
    world.until(lambda: is_at_step(world, TWO, 2))
    lose(world, ONE, TWO)
    assert world.run(world.clock.now() + 60.0).code is Exit.OK
    assert events(world, "round made again") == [""]
    assert events(world, "profiling") == [ONE, TWO, TWO]
    assert all(set(one["devices"]) == {ONE, TWO} for one in world.records.streams["rounds"])


def test_a_resumed_round_that_is_made_again_is_measured() -> None:
    """It began as it was planned, so that nobody was measured for it; no event got to disk."""
    world = world_of(Policy(lost="drop", quorum=2))
    world.start_all()
    world.until(lambda: is_at_step(world, ONE, 1))
    world.kill(COORDINATOR)
    world.records.streams["events"].clear()
    world.start(COORDINATOR)
    world.until(lambda: is_at_step(world, ONE, 1) and is_at_step(world, TWO, 1))
    lose(world, ONE, TWO)
    assert world.run(world.clock.now() + 60.0).code is Exit.OK
    assert events(world, "round made again") == [""]
    assert events(world, "profiling") == [ONE, TWO]


def test_a_resumed_coordinator_measures_those_who_trained_for_the_one_before() -> None:
    """Neither plan nor events are on record: all are measured again, who are of the same lives."""
    world = world_of(Policy())
    world.start_all()
    world.until(lambda: is_at_step(world, ONE, 1) and is_at_step(world, TWO, 1))
    world.kill(COORDINATOR)
    for stream in ("plans", "events"):
        world.records.streams[stream].clear()
    world.start(COORDINATOR)
    assert world.run(world.clock.now() + 60.0).code is Exit.OK
    assert events(world, "profiling") == [ONE, TWO]
