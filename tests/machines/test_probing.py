"""Probes that are prepared while their devices go, come back, and rounds begin without them."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from coordinator.policy import Policy
from coordinator.profiling.device_profile import DeviceProfile
from coordinator.profiling.survey import BALLAST_BYTES
from coordinator.profiling.tracked import Tracked
from coordinator.tasks import OpenRound, Prepare, Prepared, PreparedProbe, PrepareProbe
from runtime.events import Failed, Finished
from runtime.letters import AttemptKey, DeviceReport, Probe, ProbeReport, Refusal
from runtime.machine_effects import MachineEffect
from runtime.machine_events import Heard, Seen, Silent
from runtime.presence import PULSING_MINOR
from tests.machines.coordinating import Coordinating, birth, drops, events, letters, tasks
from tests.profiling.live_world import CUTS, LiveWorld, steady

READY = PreparedProbe(Prepared("digest", {}), 0.1)
REPORT = DeviceReport(forward_s=0.01, backward_s=0.02)
DROP = Policy(lost="drop")


class Probing(Coordinating):
    """Two devices that are measured before they are planned for."""

    def __init__(self, policy: Policy = DROP) -> None:
        world = LiveWorld(steady(1e10), steady(1e10), rounds=3)
        self.one, self.two = world.names
        super().__init__(*world.names)
        self.opens_at_once = False
        assert world.survey is not None
        self.state = attrs.evolve(
            self.state, planner=world.planner, survey=attrs.evolve(world.survey, run="run"),
            policy=attrs.evolve(policy, gather_limit_s=0.0001),
        )  # fmt: skip

    def born(self, device: Any, incarnation: int = 1) -> PrepareProbe:
        """Lets a life begin; returns the probe that is prepared for it."""
        born = birth(device, incarnation, protocol=PULSING_MINOR)
        return tasks(self.on(Seen(born)), PrepareProbe)[0]

    def reports(self, probe: PrepareProbe) -> list[MachineEffect]:
        device, cut = probe.assignment.device, probe.assignment.cut
        return self.receive(ProbeReport("run", probe.attempt, cut, REPORT), device)

    def measured(self, probe: PrepareProbe) -> list[MachineEffect]:
        """Makes all probes of a device from this one on; returns what the last report did."""
        while True:
            self.on(Finished(probe, READY))
            effects = self.reports(probe)
            following = tasks(effects, PrepareProbe)
            if not following:
                return effects
            (probe,) = following

    def last_prepared(self, device: Any) -> PrepareProbe:
        return [t for t in tasks(self.effects, PrepareProbe) if t.assignment.device == device][-1]


@pytest.mark.parametrize("fails", [False, True])
def test_no_round_opens_while_a_probe_is_prepared(fails: bool) -> None:
    """Whoever it is for is lost; compiling beside steps would give them other bits."""
    made = Probing()
    first, second = made.born(made.one), made.born(made.two)
    made.on(Silent(made.two))
    effects = made.measured(first)
    assert tasks(effects, OpenRound) == []
    effects = made.on(Failed(second, "broken") if fails else Finished(second, READY))
    (opened,) = tasks(effects, OpenRound)
    assert [one.device for one in opened.plan.assignments] == [made.one]


def test_what_was_prepared_for_an_earlier_life_is_sent_to_nobody() -> None:
    made = Probing()
    first, old = made.born(made.one), made.born(made.two)
    new = made.born(made.two, incarnation=2)
    assert letters(made.on(Finished(old, READY)), Probe) == []
    assert events(made.on(Failed(old, "broken"))) == []
    assert [one.order.attempt for one in letters(made.on(Finished(new, READY)), Probe)] == [
        AttemptKey(1, 0)
    ]
    made.reports(new)
    made.measured(made.last_prepared(made.two))
    assert tasks(made.measured(first), OpenRound) != []
    assert made.state.survey is not None and made.state.survey.preparing == frozenset()


def test_what_a_probe_of_an_earlier_round_says_is_stale() -> None:
    """The device was lost amid it, and comes back, the same life, when the round is trained."""
    made = Probing()
    first, old = made.born(made.one), made.born(made.two)
    made.on(Finished(old, READY))
    made.on(Silent(made.two))
    (opened,) = tasks(made.measured(first), OpenRound)
    made.on(Finished(opened, None))
    made.on(Heard(made.two))
    assert drops(made.reports(old)) == ["stale ProbeReport"]
    assert tasks(made.effects, Prepare) != []
    made.whole_round(made.one)
    new = made.last_prepared(made.two)
    assert (new.assignment.cut, new.attempt) == (CUTS[0].name, AttemptKey(2, 0))
    assert drops(made.reports(old)) == ["stale ProbeReport"]
    assert drops(made.receive(Refusal("run", old.attempt, "no"), made.two)) == ["stale Refusal"]
    assert tasks(made.measured(new), OpenRound) != []


def test_a_probe_that_is_refused_ends_those_of_its_device() -> None:
    made = Probing()
    probe = made.born(made.two)
    made.on(Finished(probe, READY))
    effects = made.receive(Refusal("run", probe.attempt, "too big"), made.two)
    assert events(effects) == ["probe failed"]


def test_a_board_that_could_do_nothing_has_another_try_in_its_next_life() -> None:
    made = Probing()
    probe = made.born(made.two)
    made.receive(Refusal("run", probe.attempt, "too big"), made.two)
    again = made.born(made.two, incarnation=2)
    assert again.assignment.cut == CUTS[0].name
    made.measured(again)
    assert made.state.survey is not None
    assert made.state.survey.profiles[made.two].refused == {}


def test_a_board_that_is_measured_stays_so_in_its_next_life() -> None:
    made = Probing()
    made.measured(made.born(made.two))
    known = made.state.survey
    born = birth(made.two, 2, protocol=PULSING_MINOR)
    assert tasks(made.on(Seen(born)), PrepareProbe) == []
    assert made.state.survey == known


def test_the_first_probe_is_small_whatever_a_round_told_of_the_link() -> None:
    """A round that was resumed is trained before anybody is measured."""
    made = Probing()
    fast = Tracked(1e7, 1)
    told = {made.two: DeviceProfile(uplink=fast, downlink=fast)}
    assert made.state.survey is not None
    survey = attrs.evolve(made.state.survey, profiles=told)
    survey, effects = survey.begin(birth(made.two), AttemptKey(2, 0))
    (probe,) = tasks(effects, PrepareProbe)
    _, effects = survey.prepared(probe, READY, 0)
    assert [len(one.ballast) for one in letters(effects, Probe)] == [BALLAST_BYTES]
