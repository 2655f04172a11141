"""A measured board that is killed and comes back works at once: its profile outlives its agent."""

from __future__ import annotations

import pytest

from coordinator.state import Stage
from device_agent.machine import AgentState
from runtime.ids import DeviceId
from tests.profiling.live_world import CUTS, LiveWorld, Speed, steady

ONE, TWO = DeviceId("board-0"), DeviceId("board-1")
AWAY_S = 0.3
WORKS_WITHIN_S = 0.5
"""Of virtual time: presence, an order and a program, over a link of 1 MB/s."""


def world_of(*speeds: Speed, rounds: int = 3) -> LiveWorld:
    world = LiveWorld(*speeds, rounds=rounds)
    world.start_all()
    return world


def works(world: LiveWorld, device: DeviceId) -> bool:
    """Tells whether a device has begun a step of an order."""
    state = world.lives[device].party.state
    assert isinstance(state, AgentState)
    return state.work is not None and state.work.probe is None and state.work.phase == "forward"


def amid(world: LiveWorld, stage: Stage, round: int) -> bool:
    state = world.coordinator
    return (state.stage, state.round) == (stage, round)


def come_back(world: LiveWorld, device: DeviceId) -> float:
    """Kills a device and starts it again; returns how long it then takes to work."""
    world.kill(device)
    back_s = world.clock.now() + AWAY_S
    world.clock.call_at(back_s, lambda: world.start(device))
    world.until(lambda: world.clock.now() >= back_s and device in world.lives)
    world.until(lambda: works(world, device))
    return world.clock.now() - back_s


@pytest.mark.parametrize("stage", ["training", "closing", "opening"])
def test_a_board_that_is_killed_works_at_once(stage: Stage) -> None:
    world = world_of(steady(1e10), steady(2e10))
    world.until(lambda: amid(world, stage, 2))
    assert come_back(world, ONE) < WORKS_WITHIN_S
    world.run()
    assert world.told("profiling") == [(ONE, ""), (TWO, "")]


def test_a_board_that_was_killed_keeps_nobody_waiting() -> None:
    """Its part of the round is made again, and the next round opens as if nothing had been."""

    def opening_s(kills: bool) -> float:
        world = world_of(steady(1e10), steady(2e10))
        world.until(lambda: amid(world, "training", 2) and works(world, ONE))
        if kills:
            come_back(world, ONE)
        world.until(lambda: world.coordinator.round == 3)
        closed_s = world.clock.now()
        world.until(lambda: works(world, TWO))
        return world.clock.now() - closed_s

    assert opening_s(kills=True) == pytest.approx(opening_s(kills=False), abs=0.01)


def test_a_board_killed_amid_its_probes_makes_those_that_are_left() -> None:
    world = world_of(steady(1e10), steady(2e10))
    world.until(lambda: (ONE, CUTS[0].name) in world.told("measured"))
    come_back(world, ONE)
    world.run()
    cuts = [cut for device, cut in world.told("measured") if device == ONE]
    assert cuts == [cut.name for cut in CUTS]


def test_another_board_under_the_name_is_measured() -> None:
    world = world_of(steady(1e10), steady(2e10))
    world.until(lambda: amid(world, "training", 2) and works(world, ONE))
    world.paced.held = {**world.paced.held, ONE: 60}
    come_back(world, ONE)
    world.run()
    assert world.told("profiling") == [(ONE, ""), (TWO, ""), (ONE, "")]
    cuts = [cut for device, cut in world.told("measured") if device == ONE]
    assert cuts == 2 * [cut.name for cut in CUTS]


def test_a_board_that_took_its_leave_is_measured_when_it_returns() -> None:
    world = world_of(steady(1e10), steady(2e10), rounds=4)
    world.until(lambda: amid(world, "training", 2) and works(world, ONE))
    world.lives[ONE].host.ask_to_stop()
    world.until(lambda: ONE in world.halts)
    world.start(ONE)
    world.run()
    assert world.told("profiling") == [(ONE, ""), (TWO, ""), (ONE, "")]


def test_a_board_that_comes_back_slower_is_found_out_by_its_steps() -> None:
    killed_s: list[float] = []
    world = world_of(lambda _: 1e9 if killed_s else 4e9, steady(3e10), rounds=6)
    world.until(lambda: amid(world, "training", 2) and works(world, ONE))
    killed_s.append(world.clock.now())
    come_back(world, ONE)
    world.run()
    assert world.told("profiling") == [(ONE, ""), (TWO, "")]
    cuts = world.cuts_of(ONE)
    assert set(cuts[:2]) == {"middle"}
    assert set(cuts[3:]) == {"shallow"}
