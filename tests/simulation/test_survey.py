"""Modelled boards are measured as real ones are, and measurements find the model."""

from __future__ import annotations

import pytest
from attrs import evolve, frozen

from coordinator.plan import Assignment
from coordinator.profiling.device_profile import DeviceProfile
from coordinator.profiling.survey import Survey
from coordinator.profiling.time_model import Load
from coordinator.simulation.conditions import Conditions, SlowFrom
from runtime.emulation_spec import Emulation
from runtime.ids import DeviceId
from runtime.presence import DevicePresence
from tests.simulation.stages import JOB, TRACED, Performance, board, peculiar, perform

GFLOPS = 2.0


@frozen
class Surveyor:
    """Probes the first and the last block."""

    def probes(self, birth: DevicePresence) -> tuple[Assignment, ...]:
        return tuple(self.part(birth.device, cut) for cut in ("block1", "block3"))

    def nearer(self, device: DeviceId, profile: DeviceProfile) -> tuple[Assignment, ...]:
        return ()

    def offered(self, profile: DeviceProfile) -> tuple[str, ...]:
        return ("block1", "block3")

    def device_load(self, assignment: Assignment) -> Load:
        flops = TRACED.cut(assignment.cut).device_flops_per_sample * assignment.batch
        return Load(3.0 * flops, 0.0)

    def server_load(self, assignment: Assignment) -> Load:
        return Load(3.0 * TRACED.flops_per_sample * assignment.batch, 0.0)

    def part(self, device: DeviceId, cut: str) -> Assignment:
        return Assignment(device, cut, "fp32", "fp32", JOB.training.batch)


def measured(conditions: Conditions | None = None) -> Performance:
    device = evolve(board("one"), emulate=Emulation(GFLOPS, None, 8, 16))
    survey = Survey(Surveyor(), "stage", JOB.recipe)
    return perform([device], conditions=conditions, survey=survey)


def test_probes_find_the_speed_of_board_and_link() -> None:
    events = [one for one in measured().events if one["event"] == "measured"]
    assert [one["cut"] for one in events] == ["block1", "block3"]
    for event in events:
        flops = TRACED.cut(event["cut"]).device_flops_per_sample * JOB.training.batch
        step_s = event["forward_s"] + event["backward_s"]
        assert step_s == pytest.approx(3 * flops / (GFLOPS * 1e9))
    assert events[-1]["uplink_bytes_per_s"] == pytest.approx(1e6, rel=0.15)


def test_what_probes_cost_is_no_part_of_the_first_round() -> None:
    done = measured()
    computed = [one["devices"]["one"]["compute_s"] for one in done.rounds]
    assert computed[0] == pytest.approx(computed[1])


def test_a_hot_board_is_measured_hot() -> None:
    hot = measured(peculiar("one", compute=(SlowFrom(0.0, 3.0),)))
    pairs = zip(hot.events, measured().events, strict=True)
    ratios = [a["forward_s"] / b["forward_s"] for a, b in pairs if a["event"] == "measured"]
    assert ratios == pytest.approx([3.0, 3.0])
