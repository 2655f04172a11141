"""What the scheduler decides for a round, and the seam behind which planners stand."""

from __future__ import annotations

from typing import Protocol

from attrs import frozen

from runtime.ids import DeviceId
from runtime.program import Codec


@frozen
class Assignment:
    """One device's part in a round. `weight` is its share when links are contended."""

    device: DeviceId
    cut: str
    codec_up: Codec
    codec_down: Codec
    batch: int
    micro_batches: int = 1
    weight: float = 1.0


@frozen
class Plan:
    """The round's assignments in order of device id. The plan log is the sequence of these."""

    round: int
    planner: str
    assignments: tuple[Assignment, ...]


class Planner(Protocol):
    """Decides a round. Must be a function of its arguments alone."""

    def plan(self, round: int) -> Plan: ...
