"""Numbers and structures that no honest peer sends are undecodable, and cost no memory."""

from __future__ import annotations

import json
import math
import tracemalloc

import attrs
import pytest

from coordinator.plan import Knowledge, Plan
from coordinator.planning.cut_costs import ModelSize
from coordinator.planning.live_planner import LivePlanner
from coordinator.planning.planners import SOLVERS
from coordinator.planning.problem import Problem
from coordinator.profiling.cut_survey import CutSurvey
from coordinator.profiling.device_profile import DeviceProfile
from coordinator.profiling.time_model import Load
from runtime.errors import WireError
from runtime.ids import DeviceId
from runtime.letters import AttemptKey, DeviceReport, Refusal, RoundResult, Step, StepTimes
from runtime.link_meter import Reading
from runtime.presence import CoordinatorPresence, DevicePresence, Limits
from runtime.wire import decode, decode_json, encode, encode_json
from tests.profiling.live_world import CUTS, WHOLE
from tests.world import PLAIN

BIRTH = DevicePresence(DeviceId("board"), 1, "online", limits=Limits(1, 1, 1))
ARRAY_32, ARRAY_16 = b"\xdd", b"\xdc"


@pytest.mark.parametrize("value", [-1, 2**53, 2**64, 10**3000])
@pytest.mark.parametrize("key", ["incarnation", "samples", "protocol", "opset", "transfer_bytes"])
def test_births_with_absurd_numbers(key: str, value: int) -> None:
    text = json.loads(encode_json(BIRTH))
    (text["limits"] if key == "transfer_bytes" else text)[key] = value
    with pytest.raises(WireError):
        decode_json(DevicePresence, json.dumps(text).encode())


def test_a_coordinator_s_incarnation_fits_into_a_frame() -> None:
    text = {"incarnation": 10**3000, "status": "online"}
    with pytest.raises(WireError):
        decode_json(CoordinatorPresence, json.dumps(text).encode())


def heard(report: DeviceReport, **figures: float) -> DeviceReport:
    """Returns what a coordinator reads of a report in which a hostile board put these figures."""
    told = attrs.evolve(report)
    for name, value in figures.items():
        object.__setattr__(told, name, value)
    raw = encode(RoundResult("run", AttemptKey(1, 1), 4, {}, told))
    return decode(RoundResult, raw).value.report


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 1e300, 1e-19, 1e-300, 5e-324])
@pytest.mark.parametrize(
    "field", [one.name for one in attrs.fields(DeviceReport) if one.name.endswith("_s")]
)
def test_reports_with_absurd_figures(field: str, value: float) -> None:
    good = DeviceReport(step=StepTimes(1.0, 2.0, 3.0))
    assert heard(good) == good
    with pytest.raises(WireError):
        heard(good, **{field: value})


def test_a_loss_may_come_near_to_0() -> None:
    assert heard(DeviceReport(mean_loss=1e-30)).mean_loss == 1e-30


@pytest.mark.parametrize("downlink", [1e-18, 1e18])
@pytest.mark.parametrize("step", [1e-18, 1e18])
@pytest.mark.parametrize("planner", ["optimal", "equal-bandwidth", "sequential"])
def test_planners_live_with_every_figure_that_is_let_in(
    planner: str, step: float, downlink: float
) -> None:
    first = heard(DeviceReport(), forward_s=step, backward_s=step, downlink_bytes_per_s=downlink)
    then = heard(
        DeviceReport(), forward_s=1 / step, backward_s=step, downlink_bytes_per_s=1 / downlink
    )
    cut, load, link = "middle", Load(1e9, 1e6), Reading(1e6, 0.02)
    hostile = DeviceProfile().with_probe("shallow", Load(1e7, 1e5), first, link, 1.0)
    hostile = hostile.with_probe(cut, load, then, link, 2.0)
    hostile = hostile.updated(load, first, link, 3.0).exchanged(cut, 0.5, first, 3.0)
    honest = DeviceProfile().with_probe(cut, load, DeviceReport(forward_s=1.0), link, 1.0)
    boards = (DeviceId("board-0"), DeviceId("board-1"))
    survey = CutSurvey(CUTS, WHOLE.device_flops_per_sample, dict.fromkeys(boards, 4), PLAIN)
    live = LivePlanner(SOLVERS[planner], survey, ModelSize(8_000, 0, 0), Problem((), 4))
    profiles = dict(zip(boards, (honest, hostile), strict=True))
    plan = live.plan(1, Knowledge(profiles, present=frozenset(boards)))
    assert isinstance(plan, Plan)
    assert plan.devices == boards


def test_reasons_are_shortened_by_whoever_reads_them() -> None:
    raw = encode(Refusal("run", AttemptKey(1, 1), "x")).replace(
        b"\xa1x", b"\xdb\0\x01\0\0" + b"y" * 65536
    )
    assert len(decode(Refusal, raw).value.reason) < 600


@pytest.mark.parametrize(
    "bomb",
    [
        ARRAY_32 + b"\0\x40\0\0" + b"\x80" * 2**22,
        ARRAY_32 + b"\0\x40\0\0" + b"\xc0" * 2**22,
        b"\x9f" + (ARRAY_16 + b"\xff\xff" + b"\x80" * 65535) * 15,
        b"\x9f" + (ARRAY_16 + b"\xff\xff" + b"\xa1a" * 65535) * 15,
        ARRAY_16 + b"\xff\xff" + (ARRAY_16 + b"\xff\xff" + b"\xc0" * 65535) * 32,
        b"\x91" * 2**22,
        b"\x81\xa1a" * 2**20,
    ],
    ids=["maps", "nils", "nested maps", "nested texts", "nested nils", "deep", "deep maps"],
)
def test_small_bytes_do_not_become_large_values(bomb: bytes) -> None:
    """4 MB of one-byte maps would take 300 MB."""
    tracemalloc.start()
    try:
        with pytest.raises(WireError):
            decode(Step, bomb)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_an_error_that_holds_what_was_decoded_is_told_in_short() -> None:
    """Its repr would go beyond Python's stack: one frame would have ended a coordinator."""
    with pytest.raises(WireError):
        decode(Step, b"\x91" * 1000 + b"\xc0" + b"\xc0")
