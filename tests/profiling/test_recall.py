"""A coordinator that resumes knows what the one before it measured."""

from __future__ import annotations

from functools import partial

import pytest

from coordinator.profiling.recall import recalled
from coordinator.profiling.survey import Survey
from runtime.ids import COORDINATOR, DeviceId
from tests.profiling.live_world import CUTS, LiveWorld, steady

ONE, TWO = DeviceId("board-0"), DeviceId("board-1")
AWAY_S = 0.3


def world_of(rounds: int = 3) -> LiveWorld:
    world = LiveWorld(steady(1e10), steady(2e10), rounds=rounds)
    world.start_all()
    return world


def trains(world: LiveWorld, round: int) -> bool:
    state = world.coordinator
    return state.round == round and any(duty.step for duty in state.duties.values())


def come_back(world: LiveWorld, *others: DeviceId) -> None:
    """Kills the coordinator, and others with it; starts them again a little later."""
    for name in (COORDINATOR, *others):
        world.kill(name)
    back_s = world.clock.now() + AWAY_S
    for name in (COORDINATOR, *others):
        world.clock.call_at(back_s, partial(world.start, name))
    world.until(lambda: world.clock.now() >= back_s and COORDINATOR in world.lives)


ALL_ONCE = sorted((name, cut.name) for name in (ONE, TWO) for cut in CUTS)


def test_nobody_is_measured_again() -> None:
    world = world_of()
    world.until(lambda: trains(world, 1))
    come_back(world)
    world.run()
    assert sorted(world.told("measured")) == ALL_ONCE
    assert world.told("profiling") == [(ONE, ""), (TWO, "")]
    assert sorted(world.plans) == [1, 2, 3]


def test_what_was_measured_is_what_is_known() -> None:
    world = world_of()
    world.until(lambda: trains(world, 1))
    before = world.coordinator.survey
    assert before is not None
    events = world.records.streams["events"]
    after = recalled(Survey(before.surveyor, "run-1", world.recipe), events)
    assert after.server == before.server
    for name in (ONE, TWO):
        old, new = before.profiles[name], after.profiles[name]
        assert new.probed == old.probed
        assert new.uplink.value == pytest.approx(old.uplink.value, rel=0.05)
        assert new.downlink.value == pytest.approx(old.downlink.value, rel=0.05)
        assert new.round_trip.value == pytest.approx(old.round_trip.value)


def test_later_rounds_are_planned_as_if_nothing_had_been() -> None:
    calm = world_of()
    calm.run()
    world = world_of()
    world.until(lambda: trains(world, 2))
    come_back(world)
    world.run()
    for name in (ONE, TWO):
        assert world.cuts_of(name) == calm.cuts_of(name)
    assert world.chain == calm.chain


def test_probes_that_are_left_are_made() -> None:
    world = world_of()
    world.until(lambda: (ONE, CUTS[1].name) in world.told("measured"))
    assert len(world.told("measured")) < len(ALL_ONCE)
    come_back(world)
    world.run()
    assert sorted(world.told("measured")) == ALL_ONCE


def test_a_board_that_died_with_its_coordinator_may_be_another_and_is_measured() -> None:
    world = world_of()
    world.until(lambda: trains(world, 1))
    come_back(world, ONE)
    world.run()
    again = sorted((ONE, cut.name) for cut in CUTS)
    assert sorted(world.told("measured")) == sorted([*ALL_ONCE, *again])


def test_a_cut_that_a_board_refused_is_not_asked_of_it_again() -> None:
    world = world_of()
    world.until(lambda: trains(world, 1))
    survey = world.coordinator.survey
    assert survey is not None
    events = [
        one
        for one in world.records.streams["events"]
        if (one.get("device"), one.get("cut")) != (ONE, CUTS[2].name)
    ]
    life = world.incarnations[ONE]
    failed = {"event": "probe failed", "device": ONE, "incarnation": life, "cut": CUTS[2].name}
    known = recalled(
        Survey(survey.surveyor, "run-1", world.recipe), [*events, {**failed, "reason": "full"}]
    )
    birth = world.coordinator.fleet.members[ONE].birth
    assert known.recalls(birth)
    begun, effects = known.reborn(ONE).begin(birth, world.coordinator.probing)
    assert (effects, begun.settled(ONE)) == ([], True)
    assert set(begun.profiles[ONE].probed) == {cut.name for cut in CUTS[:2]}


def test_what_cannot_be_read_or_belongs_to_others_tells_nothing() -> None:
    world = world_of()
    survey = world.survey
    assert survey is not None
    entry = {"event": "measured", "device": ONE, "incarnation": 1, "cut": "deep"}
    rates = {"uplink_bytes_per_s": 1.0, "downlink_bytes_per_s": 1.0, "round_trip_s": 0.1}
    whole = {**entry, "forward_s": 1.0, "backward_s": 1.0, **rates}
    foreign = [{**whole, "device": "stranger"}, {**whole, "cut": "no such cut"}]
    assert recalled(survey, [entry, *foreign, {"event": "online"}, {}]) == survey
    assert recalled(survey, [whole]).profiles[ONE].probed.keys() == {"deep"}


@pytest.mark.parametrize("figure", ["forward_s", "backward_s", "downlink_bytes_per_s"])
def test_figures_that_nobody_would_take_today_tell_nothing(figure: str) -> None:
    """A run that such a figure ended would end by it again."""
    world = world_of()
    survey = world.survey
    assert survey is not None
    times = {"forward_s": 1.0, "backward_s": 1.0}
    rates = {"uplink_bytes_per_s": 1.0, "downlink_bytes_per_s": 1.0, "round_trip_s": 0.1}
    entry = {"event": "measured", "device": ONE, "incarnation": 1, "cut": "deep", **times, **rates}
    assert recalled(survey, [{**entry, figure: 1e-310}]) == survey
