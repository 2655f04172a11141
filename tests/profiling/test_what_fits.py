"""What a board has shown that it can do, and cannot, goes before what was estimated."""

from __future__ import annotations

import math

import attrs
import pytest

from coordinator.cutting.traced_model import Cut
from coordinator.plan import Knowledge, Plan
from coordinator.planning.live_planner import LivePlanner
from coordinator.planning.solution import Infeasible
from coordinator.profiling.device_profile import DeviceProfile
from runtime.ids import DeviceId
from runtime.letters import DeviceReport
from runtime.link_meter import Reading
from tests.profiling.live_world import BATCH, CUTS, LiveWorld, steady, step_s

ONE = DeviceId("board-0")
SHALLOW = CUTS[0]
SPEED = 1e11
"""So fast that its deepest cut suits it best."""


def live_planner() -> LivePlanner:
    planner = LiveWorld(steady(SPEED), rounds=1).planner
    assert isinstance(planner, LivePlanner)
    return planner


def probed(*cuts: str, memory_bytes: float = math.inf) -> DeviceProfile:
    """Returns the profile of a board that made these probes."""
    planner, profile = live_planner(), DeviceProfile(memory_bytes=memory_bytes)
    for cut in cuts:
        part = planner.survey.part(ONE, cut)
        assert part is not None
        forward_s = step_s(cut, SPEED) / 3
        report = DeviceReport(
            forward_s=forward_s, backward_s=2 * forward_s, downlink_bytes_per_s=1e6
        )
        load = planner.survey.device_load(part)
        profile = profile.with_probe(cut, load, report, Reading(1e6, 0.01), 1.0)
    return profile


def planned(profile: DeviceProfile) -> Plan | Infeasible:
    knowledge = Knowledge({ONE: profile}, present=frozenset({ONE}))
    return live_planner().plan(1, knowledge)


def offered(profile: DeviceProfile) -> list[str]:
    """Returns the cuts that a solver has to choose from."""
    _, problem = live_planner().problem(1, Knowledge({ONE: profile}, present=frozenset({ONE})))
    (device,) = problem.devices
    return [one.cut for one in device.options if one.device_memory_bytes <= device.memory_bytes]


class TestMemory:
    def test_a_cut_that_was_probed_fits_whatever_was_estimated(self) -> None:
        tight = probed("shallow", memory_bytes=SHALLOW.training_memory_bytes(BATCH) - 16_000)
        plan = planned(tight)
        assert isinstance(plan, Plan), plan
        assert [one.cut for one in plan.assignments] == ["shallow"]

    @pytest.mark.parametrize("cut", CUTS[1:], ids=lambda cut: cut.name)
    def test_a_cut_that_was_not_goes_by_its_estimate(self, cut: Cut) -> None:
        within = probed("shallow", memory_bytes=cut.training_memory_bytes(BATCH))
        assert cut.name in offered(within)
        short = attrs.evolve(within, memory_bytes=within.memory_bytes - 1)
        assert cut.name not in offered(short)

    def test_what_needs_no_more_than_a_cut_that_was_probed_fits_too(self) -> None:
        assert offered(probed("shallow", "middle", memory_bytes=1.0)) == ["shallow", "middle"]


class TestRefusal:
    def test_who_refuses_nothing_may_have_cuts_behind_those_that_ran(self) -> None:
        assert offered(probed("shallow")) == ["shallow", "middle", "deep"]

    @pytest.mark.parametrize("refused", ["middle", "deep"])
    def test_who_refused_a_cut_is_offered_what_ran_and_no_more(self, refused: str) -> None:
        assert offered(probed("shallow").with_refusal(refused, "too big")) == ["shallow"]

    def test_cuts_in_front_of_one_that_ran_are_offered(self) -> None:
        refusing = probed("middle").with_refusal("deep", "too big")
        assert offered(refusing) == ["shallow", "middle"]

    def test_what_lies_between_is_probed_where_it_seems_to_fit(self) -> None:
        refusing = probed("shallow").with_refusal("deep", "too big")
        nearer = live_planner().survey.nearer
        assert [one.cut for one in nearer(ONE, refusing)] == ["middle"]
        assert nearer(ONE, attrs.evolve(refusing, memory_bytes=60_000.0)) == ()
        assert nearer(ONE, probed("shallow", "middle").with_refusal("deep", "too big")) == ()
        assert nearer(ONE, probed("shallow")) == ()
