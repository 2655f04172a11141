"""What is known of one board: its speed at every cut, its memory, its link."""

from __future__ import annotations

import math
from collections.abc import Mapping

from attrs import field, frozen

from coordinator.profiling.least import Least
from coordinator.profiling.time_model import Load, Timed, TimeModel, fit
from coordinator.profiling.tracked import Tracked
from runtime.evolution import evolve
from runtime.letters import DeviceReport
from runtime.link_meter import Reading
from runtime.value import value

_FORWARD_SHARE = 1 / 3
"""Of a step, for boards that tell only the whole: backward is about twice forward."""


@value
class StepTime:
    """The compute of a local step on the board, before and after the server's part of it."""

    forward_s: float
    backward_s: float

    @property
    def total_s(self) -> float:
        return self.forward_s + self.backward_s

    @classmethod
    def of(cls, report: DeviceReport) -> StepTime:
        """Returns what a board reports; zeros where it says nothing."""
        if report.forward_s > 0 and report.backward_s > 0:
            return cls(report.forward_s, report.backward_s)
        whole_s = report.step.p50_s
        return cls(_FORWARD_SHARE * whole_s, (1 - _FORWARD_SHARE) * whole_s)


@frozen
class Probed:
    """The time of a step at a cut that was probed, and the load of that cut."""

    load: Load
    time: StepTime


@frozen(slots=False)
class DeviceProfile:
    """A board as measured, by probes when it joins and by its real steps and transfers after.

    `probed` and `refused` are by cut; a refused cut comes with the board's reason. `pace` is how
    many times longer real steps take than the probes foretell. Link rates are in bytes/s, 0
    where too few bytes travelled to tell; `round_trip` is in seconds, there and back.
    `transfers` is the time of a real step's two transfers at the cut `transfers_at`, in seconds.
    `memory_bytes` is what the board announced for programs.
    """

    probed: Mapping[str, Probed] = field(factory=dict)
    refused: Mapping[str, str] = field(factory=dict)
    pace: Tracked = field(factory=Tracked)
    uplink: Tracked = field(factory=Tracked)
    downlink: Tracked = field(factory=Tracked)
    round_trip: Least = field(factory=Least)
    transfers: Tracked = field(factory=Tracked)
    transfers_at: str = ""
    peak_rss_bytes: int = 0
    memory_bytes: float = math.inf

    def with_probe(
        self,
        cut: str,
        load: Load,
        report: DeviceReport,
        link: Reading,
        now: float,
    ) -> DeviceProfile:
        """Returns the profile after a probe of `cut`."""
        probed = {**self.probed, cut: Probed(load, StepTime.of(report))}
        return evolve(self, probed=probed)._noted(report, link, now)

    def with_refusal(self, cut: str, reason: str) -> DeviceProfile:
        """Returns the profile of a board that cannot run `cut`."""
        return evolve(self, refused={**self.refused, cut: reason})

    def exchanged(
        self, cut: str, exchange_s: float, report: DeviceReport, now: float
    ) -> DeviceProfile:
        """Returns the profile after a round of real steps at `cut`.

        `exchange_s` is the time from a gradient to the step that answered it, the board's own
        work, which `report` tells, included.
        """
        known = self.transfers if cut == self.transfers_at else Tracked()
        transfers = known.updated(exchange_s - StepTime.of(report).total_s, now)
        return evolve(self, transfers_at=cut, transfers=transfers)

    def updated(self, load: Load, report: DeviceReport, link: Reading, now: float) -> DeviceProfile:
        """Returns the profile after a round of real steps with this load."""
        foretold_s = self.model.seconds(load)
        real_s = StepTime.of(report).total_s
        pace = self.pace.updated(real_s / foretold_s, now) if foretold_s > 0 else self.pace
        return evolve(self, pace=pace)._noted(report, link, now)

    @property
    def model(self) -> TimeModel:
        """Foretells whole steps from the probes alone."""
        return fit([Timed(one.load, one.time.total_s) for one in self.probed.values()])

    @property
    def forward_share(self) -> float:
        """The forward part of the steps that were probed."""
        total_s = sum(one.time.total_s for one in self.probed.values())
        forward_s = sum(one.time.forward_s for one in self.probed.values())
        return forward_s / total_s if total_s > 0 else _FORWARD_SHARE

    def step_times(self, loads: Mapping[str, Load]) -> dict[str, StepTime]:
        """Returns the time of a step at every cut; none if no probe came through."""
        if not self.probed:
            return {}
        model, share, pace = self.model, self.forward_share, self.pace.value or 1.0
        totals_s = {cut: pace * model.seconds(load) for cut, load in loads.items()}
        return {cut: StepTime(share * s, (1 - share) * s) for cut, s in totals_s.items()}

    def _noted(self, report: DeviceReport, link: Reading, now: float) -> DeviceProfile:
        # Chunks that piled up on their way make a link look faster than it is, never slower.
        return evolve(
            self,
            uplink=self.uplink.risen(link.bytes_per_s, now),
            round_trip=self.round_trip.updated(link.round_trip_s),
            downlink=self.downlink.risen(report.downlink_bytes_per_s, now),
            peak_rss_bytes=max(self.peak_rss_bytes, report.peak_rss_bytes),
        )
