"""The planner that takes every cut from the fleet file."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from coordinator.plan import Assignment, Knowledge, Plan
from runtime.ids import DeviceId
from runtime.program import Codec


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
            Assignment(device, self.cut_at(device, round), self.codec_up, self.codec_down, batch)
            for device, batch in sorted(self.batches.items())
        )
        return Plan(round, "fixed", assignments)
