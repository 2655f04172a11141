"""The planner that takes every cut from the fleet file."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from coordinator.cut_codecs import CutCodecs
from coordinator.plan import Knowledge, Plan
from coordinator.planning.solution import NOT_HERE, Infeasible, LeftOut
from runtime.ids import DeviceId


@frozen
class FixedPlanner:
    """Assigns what the operator wrote. `cut_at(device, round)` reads the fleet file."""

    batches: dict[DeviceId, int]
    codecs: CutCodecs
    cut_at: Callable[[DeviceId, int], str]

    def plan(self, round: int, knowledge: Knowledge) -> Plan | Infeasible:
        """Returns the operator's plan for the devices that are present."""
        batches = sorted(self.batches.items())
        absent = (device for device, _ in batches if device not in knowledge.present)
        left_out = tuple(LeftOut(device, NOT_HERE) for device in absent)
        if len(left_out) == len(batches):
            return Infeasible("fixed", "no device is here", "start its agent", left_out)
        assignments = tuple(
            self.codecs.assignment(device, self.cut_at(device, round), batch)
            for device, batch in batches
            if device in knowledge.present
        )
        return Plan(round, "fixed", assignments, left_out=left_out)
