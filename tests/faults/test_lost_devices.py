"""Boards that vanish, fall silent, come late and leave, in the whole virtual world."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from coordinator.policy import Policy
from runtime.exits import Exit
from runtime.ids import COORDINATOR, DeviceId
from runtime.transport.link_model import Line, Link
from runtime.transport.memory import Weather
from tests.faults.bulky import LAYER_STATE, BulkyLaboratory
from tests.world import NullWorld

BREEZE = Weather(delay_s=(0.001, 0.02))
ONE, TWO, THREE = (DeviceId(f"board-{index}") for index in range(3))
DROP = Policy(lost="drop", quorum=1)
Deed = Callable[[NullWorld], None]


def world_of(policy: Policy, *, rounds: int = 4, seed: int = 3, devices: int = 3) -> NullWorld:
    return NullWorld(devices, rounds, local_steps=20, weather=BREEZE, seed=seed, policy=policy)


def run(
    world: NullWorld, *deeds: tuple[float, Deed], absent: tuple[DeviceId, ...] = ()
) -> NullWorld:
    for name in (COORDINATOR, *world.names):
        if name not in absent:
            world.start(name)
    for at_s, deed in deeds:
        world.clock.call_at(at_s, lambda deed=deed: deed(world))  # type: ignore[misc]
    world.run()
    return world


def rounds(world: NullWorld) -> list[dict[str, Any]]:
    return world.records.streams["rounds"]


def events(world: NullWorld, *names: str) -> list[tuple[str, str]]:
    found = world.records.streams["events"]
    return [(one["event"], one.get("device", "")) for one in found if one["event"] in names]


def parts(world: NullWorld) -> list[list[str]]:
    return [sorted(one["devices"]) for one in rounds(world)]


def silence(name: DeviceId) -> Deed:
    return lambda world: world.lives[name].transport.silence(15.0)


def resume(name: DeviceId) -> Deed:
    return lambda world: world.lives[name].transport.resume()


@pytest.fixture(scope="module")
def calm() -> NullWorld:
    return run(world_of(Policy()))


def until_lost(world: NullWorld, name: DeviceId) -> float:
    """Returns how long after now the coordinator takes a board for lost."""
    began_s = world.clock.now()
    while world.lives[COORDINATOR].party.state.standing(name) != "lost":
        assert world.clock.step()
    return world.clock.now() - began_s


def run_to(world: NullWorld, at_s: float) -> NullWorld:
    """Runs a new world up to a time."""
    world.start_all()
    while world.clock.now() < at_s:
        assert world.clock.step()
    return world


@pytest.mark.parametrize("seed", range(8))
def test_a_silent_board_shows_within_five_seconds_and_comes_back_without_a_restart(
    calm: NullWorld, seed: int
) -> None:
    world = run_to(world_of(Policy(), seed=seed), 0.2 + 0.1 * seed)
    silence(TWO)(world)
    assert until_lost(world, TWO) <= 5.0
    resume(TWO)(world)
    world.run()
    assert events(world, "lost", "online")[-2:] == [("lost", TWO), ("online", TWO)]
    assert world.chain == calm.chain
    assert {part["attempt"] for one in rounds(world) for part in one["devices"].values()} == {1}


def slow_world() -> NullWorld:
    """One board whose layer state takes 16 s each way, on a link of 64 KB/s."""
    world = NullWorld(1, 1, local_steps=2, weather=BREEZE)
    null = world.null
    world.laboratory = BulkyLaboratory(
        null.held, null.disk, null.flash, ballast_bytes=1_000_000, carriers=LAYER_STATE
    )
    line = Line(((0.0, 64_000.0),), delay_s=0.05)
    world.links = {ONE: Link(line, line)}
    return world


def test_a_slow_link_full_of_bulk_is_not_taken_for_silent() -> None:
    world = slow_world()
    world.start_all()
    world.run()
    assert world.clock.now() > 30.0, "both transfers were as long as they should"
    assert events(world, "lost") == []


@pytest.mark.parametrize("at_s", [5.0, 10.0, 14.0, 22.0, 27.0, 31.0])
def test_a_slow_link_that_dies_amid_bulk_shows_within_five_seconds(at_s: float) -> None:
    world = run_to(slow_world(), at_s)
    silence(ONE)(world)
    assert until_lost(world, ONE) <= 5.0
    resume(ONE)(world)
    world.run()
    assert world.clock.now() < 50.0, "the transfer goes on where it was"


@pytest.mark.parametrize("seed", range(8))
def test_a_round_goes_on_without_a_board_that_is_dropped(seed: int) -> None:
    at_s = 0.2 + 0.1 * seed
    world = run(world_of(DROP, seed=seed), (at_s, lambda world: world.kill(TWO)))
    assert len(rounds(world)) == 4
    (gone,) = (one for entry in rounds(world) for one in entry["dropped"])
    assert (gone["device"], gone["reason"]) == (TWO, "it is lost")
    assert parts(world)[-1] == [ONE, THREE]
    done = [TWO in devices for devices in parts(world)]
    trained = sum(
        entry["devices"][TWO]["samples"] for entry in rounds(world) if TWO in entry["devices"]
    )
    assert dict(world.null.disk[4].positions)[TWO] == trained, "its data order does not move"
    assert done == sorted(done, reverse=True)


def test_a_dropped_board_takes_part_again_when_it_is_back() -> None:
    world = run(world_of(DROP, rounds=40), (0.3, silence(TWO)), (9.0, resume(TWO)))
    assert [one["device"] for entry in rounds(world) for one in entry["dropped"]] == [TWO]
    assert parts(world)[-1] == [ONE, TWO, THREE]
    assert [ONE, THREE] in parts(world)


def test_what_a_dropped_board_sends_late_changes_nothing() -> None:
    """All of its messages arrive after it was dropped, for rounds that are over."""
    silent = run(world_of(DROP, rounds=12), (0.3, silence(TWO)))
    late = run(world_of(DROP, rounds=12), (0.3, silence(TWO)), (5.2, resume(TWO)))
    shared = [one for one in parts(late) if TWO not in one]
    assert shared
    last = parts(late).index([ONE, THREE]) + 1
    assert late.null.disk[last].chain == silent.null.disk[last].chain


def test_a_round_of_which_nothing_is_left_is_made_again() -> None:
    world = run(
        world_of(DROP, devices=2),
        (0.3, lambda world: world.kill(ONE)),
        (0.4, lambda world: world.kill(TWO)),
        (20.0, lambda world: world.start(TWO)),
    )
    assert events(world, "round made again") == [("round made again", "")]
    assert len(rounds(world)) == 4
    assert parts(world)[-1] == [TWO]


def test_a_round_short_of_its_quorum_calls_boards_back() -> None:
    world = run(
        world_of(attrs.evolve(DROP, quorum=3)),
        (0.3, lambda world: world.kill(TWO)),
        (30.0, lambda world: world.start(TWO)),
    )
    assert parts(world) == [[ONE, TWO, THREE]] * 4
    assert events(world, "device dropped") == [("device dropped", TWO)]


def test_a_round_that_its_boards_have_left_is_made_again_with_others() -> None:
    """The quorum is there, but not among those that the round was planned for."""
    hurry = [(1.3, lambda world: world.lives[TWO].host.ask_to_stop())] * 2
    world = run(
        world_of(attrs.evolve(DROP, quorum=2, gather_limit_s=0.1)),
        *hurry,
        (1.4, lambda world: world.start(THREE)),
        absent=(THREE,),
    )
    assert events(world, "round made again") == [("round made again", "")]
    assert parts(world) == [[ONE, THREE]] * 4
    assert dict(world.null.disk[4].positions)[TWO] == 0


def test_a_coordinator_that_looks_at_the_clock_does_not_flood_its_agents() -> None:
    """It announces itself as a pulse, and looks more often than that."""
    world = run(world_of(attrs.evolve(DROP, gather_limit_s=150.0)), absent=(THREE,))
    assert world.clock.now() > 150.0
    for life in world.lives.values():
        assert "too many announcements" not in life.party.counts()


@pytest.mark.parametrize(
    "policy", [Policy(wait_limit_s=30), Policy(lost="drop", quorum=3, wait_limit_s=30)]
)
def test_a_run_that_waits_too_long_ends_and_says_for_whom(policy: Policy) -> None:
    world = run(world_of(policy), (0.3, lambda world: world.kill(TWO)))
    halt = world.halts[COORDINATOR]
    assert halt.code == Exit.FLEET
    assert f"{TWO} (lost)" in halt.reason


def test_stragglers_are_left_behind_at_the_deadline() -> None:
    policy = Policy(round_deadline_s=2.0, quorum=0.6)
    world = run(world_of(policy), (0.3, silence(TWO)), (6.0, resume(TWO)))
    gone = next(one for entry in rounds(world) for one in entry["dropped"])
    assert gone["device"] == TWO
    assert "not home" in gone["reason"]
    assert 2.0 <= gone["after_s"] <= 4.0


def test_a_run_begins_without_boards_that_never_came() -> None:
    world = world_of(Policy(gather_limit_s=20.0), rounds=60)
    for name in (COORDINATOR, ONE, TWO):
        world.start(name)
    world.clock.call_at(25.0, lambda: world.start(THREE))
    world.run()
    assert parts(world)[0] == [ONE, TWO]
    assert parts(world)[-1] == [ONE, TWO, THREE]
    assert world.plans[1].left_out[0].device == THREE


@pytest.mark.parametrize("seed", range(8))
def test_a_board_that_leaves_brings_its_round_home_first(seed: int) -> None:
    at_s = 0.2 + 0.1 * seed
    world = run(
        world_of(Policy(), seed=seed), (at_s, lambda world: world.lives[TWO].host.ask_to_stop())
    )
    assert world.halts[TWO].code == Exit.OK
    assert [entry["dropped"] for entry in rounds(world)] == [[]] * 4
    assert parts(world)[-1] == [ONE, THREE]
    assert ("left", TWO) in events(world, "left")


def test_a_board_that_leaves_in_a_hurry_is_not_waited_for() -> None:
    def hurry(world: NullWorld) -> None:
        world.lives[TWO].host.ask_to_stop()
        world.lives[TWO].host.ask_to_stop()

    world = run(world_of(Policy()), (0.3, hurry))
    assert world.clock.now() < 10.0
    (gone,) = (one for entry in rounds(world) for one in entry["dropped"])
    assert (gone["device"], gone["reason"]) == (TWO, "it took its leave")


def test_a_flapping_board_rests() -> None:
    deeds = [(0.3 + 12.0 * i, silence(TWO)) for i in range(4)]
    deeds += [(8.3 + 12.0 * i, resume(TWO)) for i in range(4)]
    world = run(world_of(DROP, rounds=100), *deeds)
    assert ("flapping", TWO) in events(world, "flapping")


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("at_s", [0.05, 0.3, 0.6, 0.9])
def test_a_broker_that_restarts_changes_nothing(calm: NullWorld, at_s: float, keeps: bool) -> None:
    world = run(world_of(Policy()), (at_s, lambda world: world.restart_broker(3.0, keeps)))
    assert world.chain == calm.chain


@pytest.mark.parametrize("policy", [Policy(), DROP])
@pytest.mark.parametrize("at_s", [0.05, 0.3, 0.6])
def test_everything_at_once_comes_back(calm: NullWorld, at_s: float, policy: Policy) -> None:
    def strike(world: NullWorld) -> None:
        world.restart_broker(2.0, keeps=False)
        for name in (COORDINATOR, ONE, TWO, THREE):
            world.kill(name)
            world.clock.call_at(
                world.clock.now() + 1.0,
                lambda name=name: world.start(name),  # type: ignore[misc]
            )

    assert run(world_of(policy), (at_s, strike)).chain == calm.chain
