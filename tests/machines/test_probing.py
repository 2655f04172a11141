"""Probes that are prepared while their devices go, come back, and rounds begin without them."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from coordinator.planning.solution import NOT_HERE, LeftOut
from coordinator.policy import Policy
from coordinator.profiling.device_profile import DeviceProfile
from coordinator.profiling.recall import recalled
from coordinator.profiling.survey import BALLAST_BYTES, PROBE_LIMIT_S
from coordinator.profiling.tracked import Tracked
from coordinator.tasks import (
    Closed,
    CloseRound,
    OpenRound,
    Prepare,
    Prepared,
    PreparedProbe,
    PrepareProbe,
)
from runtime.effects import Record
from runtime.events import Failed, Finished
from runtime.exits import Exit
from runtime.letters import AttemptKey, DeviceReport, Probe, ProbeReport, Refusal
from runtime.machine_effects import MachineEffect
from runtime.machine_events import Heard, Seen, Silent
from runtime.presence import PULSING_MINOR
from tests.machines.coordinating import (
    STEPS,
    Coordinating,
    birth,
    drops,
    events,
    halts,
    letters,
    of,
    tasks,
)
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
            policy=attrs.evolve(policy, gather_limit_s=policy.gather_limit_s or 0.0001),
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

    def surveying(self) -> None:
        """Closes a round with both, after which one of them comes as another board."""
        first, second = self.born(self.one), self.born(self.two)
        self.measured(first)
        (opened,) = tasks(self.measured(second), OpenRound)
        self.on(Finished(opened, None))
        for device in (self.one, self.two):
            attempt = self.prepared(device).attempt
            for step in range(STEPS):
                self.step(attempt, step, device)
            effects = self.come_home(attempt, device)
        (close,) = tasks(effects, CloseRound)
        self.on(Seen(birth(self.two, protocol=PULSING_MINOR, status="left")))
        self.on(Seen(birth(self.two, 2, protocol=PULSING_MINOR)))
        self.on(Finished(close, Closed(0.5, 1.0, "hash")))
        assert self.state.stage == "surveying"


class TestLimits:
    """Boards that do not let themselves be measured, while others are."""

    def test_the_wait_for_one_that_is_lost_between_rounds_has_the_limit_of_a_round(self) -> None:
        made = Probing(Policy(wait_limit_s=20.0))
        made.surveying()
        made.on(Silent(made.two))
        assert halts(made.after(1.0)) == []
        (halt,) = halts(made.after(20.0))
        assert halt.code is Exit.FLEET
        assert halt.reason == f"round 2 waited 20 s for {made.two} (lost)"

    def test_so_has_that_of_the_first_round_where_no_time_is_set_to_gather(self) -> None:
        made = Probing(Policy(wait_limit_s=20.0))
        made.state = attrs.evolve(made.state, policy=Policy(wait_limit_s=20.0))
        first, _ = made.born(made.one), made.born(made.two)
        made.on(Silent(made.two))
        assert tasks(made.measured(first), OpenRound) == []
        made.after(1.0)
        (halt,) = halts(made.after(20.0))
        assert halt.reason == f"round 1 waited 20 s for {made.two} (lost)"

    def test_a_limit_of_gathering_begins_without_one_that_is_lost(self) -> None:
        made = Probing(Policy(gather_limit_s=30.0, wait_limit_s=20.0))
        first, second = made.born(made.one), made.born(made.two)
        made.on(Finished(second, READY))
        made.on(Silent(made.two))
        assert tasks(made.measured(first), OpenRound) == []
        assert tasks(made.after(25.0), OpenRound) == []
        (opened,) = tasks(made.after(5.0), OpenRound)
        assert [one.device for one in opened.plan.assignments] == [made.one]
        assert opened.plan.left_out == (LeftOut(made.two, NOT_HERE),)

    def test_but_not_without_a_quorum_of_those_that_are_measured(self) -> None:
        made = Probing(Policy(quorum=2, gather_limit_s=30.0, wait_limit_s=20.0))
        first, second = made.born(made.one), made.born(made.two)
        made.on(Finished(second, READY))
        made.on(Silent(made.two))
        made.measured(first)
        made.after(1.0)
        assert tasks(made.effects, OpenRound) == []
        assert len(halts(made.after(30.0))) == 1

    def test_without_limits_a_lost_board_is_waited_for_and_an_answer_counts_when_it_comes(
        self,
    ) -> None:
        made = Probing(Policy())
        made.surveying()
        probe = made.last_prepared(made.two)
        made.on(Finished(probe, READY))
        made.on(Silent(made.two))
        for _ in range(10):
            made.after(PROBE_LIMIT_S)
        made.on(Heard(made.two))
        made.after(PROBE_LIMIT_S - 1.0)
        assert "probe failed" not in events(made.effects)
        assert made.state.stage == "surveying"
        assert tasks(made.measured(probe), OpenRound) != []

    @pytest.mark.parametrize("policy", [DROP, Policy()])
    def test_one_that_is_here_and_never_answers_is_planned_without(self, policy: Policy) -> None:
        made = Probing(policy)
        first, second = made.born(made.one), made.born(made.two)
        made.on(Finished(second, READY))
        assert tasks(made.measured(first), OpenRound) == []
        assert tasks(made.after(PROBE_LIMIT_S - 1.0), OpenRound) == []
        effects = made.after(1.0)
        assert events(effects) == ["probe failed"]
        (opened,) = tasks(effects, OpenRound)
        assert [one.device for one in opened.plan.assignments] == [made.one]
        assert "no answer came within 600 s" in opened.plan.left_out[0].reason
        assert drops(made.reports(second)) == ["stale ProbeReport"]

    def test_between_rounds_it_is_left_out_as_well(self) -> None:
        made = Probing(Policy())
        made.surveying()
        made.on(Finished(made.last_prepared(made.two), READY))
        (opened,) = tasks(made.after(PROBE_LIMIT_S), OpenRound)
        assert [one.device for one in opened.plan.assignments] == [made.one]

    def test_every_probe_has_the_time(self) -> None:
        made = Probing()
        probe = made.born(made.two)
        made.on(Finished(probe, READY))
        made.after(PROBE_LIMIT_S - 1.0)
        (following,) = tasks(made.reports(probe), PrepareProbe)
        made.after(PROBE_LIMIT_S)
        made.on(Finished(following, READY))
        assert events(made.after(PROBE_LIMIT_S - 1.0)) == []
        assert events(made.after(1.0)) == ["probe failed"]

    def test_a_resumed_run_knows_who_did_not_answer(self) -> None:
        made = Probing()
        made.on(Finished(made.born(made.two), READY))
        made.after(PROBE_LIMIT_S)
        assert made.state.survey is not None
        entries = [one.entry for one in of(made.effects, Record) if one.stream == "events"]
        again = recalled(Probing().state.survey or made.state.survey, entries)
        assert again.profiles[made.two].refused == made.state.survey.profiles[made.two].refused


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
    _, effects = survey.prepared(probe, READY, 0, 1.0)
    assert [len(one.ballast) for one in letters(effects, Probe)] == [BALLAST_BYTES]
