"""What the scheduler decides for a round, and the seam behind which planners stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import attrs
from attrs import field, frozen

from coordinator.planning.problem import Rates, RoundTerms
from coordinator.planning.solution import NOT_HERE, Infeasible, LeftOut
from coordinator.profiling.device_profile import DeviceProfile
from coordinator.profiling.server_profile import ServerProfile
from runtime.ids import DeviceId
from runtime.program import WHOLE_MODEL, Codec


@frozen
class Assignment:
    """One device's part in a round. `weight` is its share when links are contended.

    `weight_down` is the share of what it is sent, None where that is the same; `caps` holds the
    device to static shares, which are never lent; `predicted` is where its time will go.
    """

    device: DeviceId
    cut: str
    codec_up: Codec
    codec_down: Codec
    batch: int
    micro_batches: int = 1
    weight: float = 1.0
    weight_down: float | None = None
    caps: Rates | None = None
    predicted: RoundTerms | None = None

    @classmethod
    def of_whole_model(cls, device: DeviceId, batch: int) -> Assignment:
        """Returns the part of a device that trains everything; its loss travels as it is."""
        return cls(device, WHOLE_MODEL, "fp32", "fp32", batch)

    @property
    def is_whole_model(self) -> bool:
        """Tells whether the device trains everything by itself: the server has no part in it."""
        return self.cut == WHOLE_MODEL


@frozen
class Prediction:
    """How long the planner thinks that the round takes, and what it can prove; in seconds.

    `static_bound_s` and `free_bound_s` are those of `coordinator.planning.solution`, and so is
    `gap`. `bottleneck` is the slowest device, None for the server.
    """

    round_s: float
    static_bound_s: float
    free_bound_s: float
    own_free_bound_s: float
    gap: float
    bottleneck: str | None = None
    opening_s: float = 0.0
    """Before all: what compiling and giving out orders took the last times."""
    closing_s: float = 0.0
    """After all: what averaging, evaluation and checkpoint took."""

    @property
    def total_s(self) -> float:
        """From the plan to the end of the round."""
        return self.opening_s + self.round_s + self.closing_s


@frozen
class Plan:
    """The round's assignments in order of device id. The plan log is the sequence of these."""

    round: int
    planner: str
    assignments: tuple[Assignment, ...]
    prediction: Prediction | None = None
    left_out: tuple[LeftOut, ...] = ()

    @property
    def devices(self) -> tuple[DeviceId, ...]:
        """All devices that the plan speaks of, those left out included, sorted."""
        taking_part = (one.device for one in self.assignments)
        return tuple(sorted((*taking_part, *(one.device for one in self.left_out))))

    @property
    def counted_on(self) -> frozenset[DeviceId]:
        """The devices that were there for it, those left out for other reasons included."""
        gone = {one.device for one in self.left_out if one.reason == NOT_HERE}
        return frozenset(self.devices) - gone

    def entry(self) -> dict[str, Any]:
        """Returns the plan as the log holds it: what was not decided is not mentioned."""
        return attrs.asdict(self, filter=lambda _, value: value is not None and value != ())


@frozen
class Knowledge:
    """What a planner may go by: measurements, and how things stand.

    `present` are the devices that can take part; `rounds_left` counts the one to be planned;
    `opening_s` is what goes before the devices' parts of a round, `closing_s` what follows them:
    no decision hangs on them.
    """

    profiles: Mapping[DeviceId, DeviceProfile] = field(factory=dict)
    server: ServerProfile = field(factory=ServerProfile)
    previous: Plan | None = None
    present: frozenset[DeviceId] = frozenset()
    rounds_left: int = 1
    opening_s: float = field(default=0.0, eq=False)
    closing_s: float = field(default=0.0, eq=False)


class Planner(Protocol):
    """Decides a round. Must be a function of its arguments alone."""

    def plan(self, round: int, knowledge: Knowledge) -> Plan | Infeasible: ...
