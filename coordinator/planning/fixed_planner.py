"""The planner that takes every cut from the fleet file."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from coordinator.plan import Assignment, Knowledge, Plan
from coordinator.planning.solution import NOT_HERE, Infeasible, LeftOut
from runtime.ids import DeviceId
from runtime.program import WHOLE_MODEL, Codec


@frozen
class FixedPlanner:
    """Assigns what the operator wrote. `cut_at(device, round)` reads the fleet file."""

    batches: dict[DeviceId, int]
    codec_up: Codec
    codec_down: Codec
    cut_at: Callable[[DeviceId, int], str]

    def plan(self, round: int, knowledge: Knowledge) -> Plan | Infeasible:
        """Returns the operator's plan for the devices that are present."""
        batches = sorted(self.batches.items())
        absent = (device for device, _ in batches if device not in knowledge.present)
        left_out = tuple(LeftOut(device, NOT_HERE) for device in absent)
        if len(left_out) == len(batches):
            return Infeasible("fixed", "no device is here", "start its agent", left_out)
        assignments = tuple(
            self._assignment(device, self.cut_at(device, round), batch)
            for device, batch in batches
            if device in knowledge.present
        )
        return Plan(round, "fixed", assignments, left_out=left_out)

    def _assignment(self, device: DeviceId, cut: str, batch: int) -> Assignment:
        if cut == WHOLE_MODEL:
            return Assignment.of_whole_model(device, batch)
        return Assignment(device, cut, self.codec_up, self.codec_down, batch)
