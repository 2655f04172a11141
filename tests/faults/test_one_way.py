"""Links that let pass what goes one way alone, in the whole virtual world."""

from __future__ import annotations

import pytest

from coordinator.policy import Policy
from runtime.ids import COORDINATOR, DeviceId
from runtime.transport.memory import Way
from tests.faults.adversary import NOTICED_WITHIN_S, PATIENCE_S
from tests.faults.test_lost_devices import DROP, TWO, events, parts, run, run_to, world_of
from tests.world import NullWorld

WAYS: tuple[Way, ...] = ("up", "down")


@pytest.fixture(scope="module")
def calm() -> NullWorld:
    return run(world_of(Policy()))


def silence(world: NullWorld, name: DeviceId, way: Way, for_s: float) -> None:
    transport = world.lives[name].transport
    transport.silence(PATIENCE_S, (way,))
    world.clock.call_at(world.clock.now() + for_s, transport.resume)


@pytest.mark.parametrize("for_s", [0.5, 9.0, 20.0])
@pytest.mark.parametrize("name", [COORDINATOR, TWO])
@pytest.mark.parametrize("way", WAYS)
def test_a_link_that_is_silent_one_way_changes_nothing(
    calm: NullWorld, way: Way, name: DeviceId, for_s: float
) -> None:
    world = run_to(world_of(Policy()), 0.5)
    silence(world, name, way, for_s)
    world.run()
    assert world.chain == calm.chain
    assert {part["attempt"] for one in world.records.streams["rounds"]
            for part in one["devices"].values()} == {1}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_rounds_go_on_without_a_board_whose_link_is_silent_one_way(way: Way) -> None:
    """One that hears nothing is still heard, until its connection is given up."""
    world = run_to(world_of(DROP), 0.5)
    silence(world, TWO, way, 60.0)
    while not events(world, "device dropped"):
        assert world.clock.step()
    noticed_s = NOTICED_WITHIN_S if way == "up" else PATIENCE_S + NOTICED_WITHIN_S
    assert world.clock.now() < 0.5 + noticed_s
    world.run()
    assert TWO not in parts(world)[-1]
