"""Parties are killed and restarted all along a small run; nothing is lost or doubled."""

from __future__ import annotations

import pytest

from runtime.ids import COORDINATOR, DeviceId
from runtime.transport.memory import Weather
from tests.world import NullWorld

PARTIES = (COORDINATOR, DeviceId("board-0"), DeviceId("board-1"))
BREEZE = Weather(delay_s=(0.001, 0.02))


def small_world() -> NullWorld:
    world = NullWorld(devices=2, rounds=2, local_steps=2, weather=BREEZE, seed=3)
    world.start_all()
    return world


@pytest.fixture(scope="module")
def undisturbed() -> NullWorld:
    world = small_world()
    world.run()
    return world


def crash_at(party: DeviceId, event: int, away_s: float) -> NullWorld | None:
    """Kills after so many events of the whole world; None when the run was over before."""
    world = small_world()
    for _ in range(event):
        assert world.clock.step()
        if COORDINATOR in world.halts:
            return None
    world.kill(party)
    world.clock.call_at(world.clock.now() + away_s, lambda: world.start(party))
    world.run()
    return world


@pytest.mark.parametrize("away_s", [0.0, 0.7])
@pytest.mark.parametrize("party", PARTIES)
def test_a_crash_at_any_event_changes_nothing(
    undisturbed: NullWorld, party: DeviceId, away_s: float
) -> None:
    event = 1
    while (world := crash_at(party, event, away_s)) is not None:
        assert world.chain == undisturbed.chain, f"event {event}"
        rounds = [entry["round"] for entry in world.records.streams["rounds"]]
        assert rounds == [1, 2], f"event {event}"
        # The coordinator alone has a disk, and moments at which it is ahead of its record.
        event += 1 if (party, away_s) == (COORDINATOR, 0.0) else 3
    assert event > 100


def test_only_the_crashed_board_repeats_its_round(undisturbed: NullWorld) -> None:
    world = crash_at(PARTIES[1], 150, away_s=0.2)
    assert world is not None
    attempts = [
        facts["attempt"]
        for entry in world.records.streams["rounds"]
        for name, facts in entry["devices"].items()
        if name == "board-1"
    ]
    assert attempts == [1, 1]


def test_a_lost_link_resumes_inside_the_attempt(undisturbed: NullWorld) -> None:
    world = small_world()
    for at_s in (0.05, 0.1, 0.15):
        world.clock.call_at(at_s, lambda: world.lives[PARTIES[1]].transport.interrupt(0.3))
    world.run()
    assert world.chain == undisturbed.chain
    attempts = {
        f["attempt"] for e in world.records.streams["rounds"] for f in e["devices"].values()
    }
    assert attempts == {1}
