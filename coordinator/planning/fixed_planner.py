"""The planner that takes every cut from the fleet file."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from coordinator.plan import Assignment, Knowledge, Plan
from runtime.ids import DeviceId
from runtime.program import WHOLE_MODEL, Codec


@frozen
class FixedPlanner:
    """Assigns what the operator wrote. `cut_at(device, round)` reads the fleet file."""

    batches: dict[DeviceId, int]
    codec_up: Codec
    codec_down: Codec
    cut_at: Callable[[DeviceId, int], str]

    def plan(self, round: int, knowledge: Knowledge) -> Plan:
        """Returns the operator's plan, whatever is known."""
        assignments = tuple(
            self._assignment(device, self.cut_at(device, round), batch)
            for device, batch in sorted(self.batches.items())
        )
        return Plan(round, "fixed", assignments)

    def _assignment(self, device: DeviceId, cut: str, batch: int) -> Assignment:
        if cut == WHOLE_MODEL:
            return Assignment.of_whole_model(device, batch)
        return Assignment(device, cut, self.codec_up, self.codec_down, batch)
