"""One device's round: the unit of recovery, and how far it has come."""

from __future__ import annotations

from statistics import median
from typing import Literal

import attrs
from attrs import field, frozen

from coordinator.plan import Assignment
from coordinator.watch import MeasuredTerms, Watch, measured_terms
from runtime.evolution import evolve
from runtime.ids import DeviceId
from runtime.letters import AttemptKey, DeviceReport, RoundOrder, RoundResult, Step, Tensors
from runtime.link_meter import Reading
from runtime.machine_events import Traffic
from runtime.rate_history import RateHistory
from runtime.recipe import Recipe

Phase = Literal["absent", "preparing", "training", "serving", "collecting", "returned"]

_TRIPS_KEPT = 256
"""Any letter of a device adds one, stale ones too."""


@frozen(slots=False)
class Duty:
    """An attempt of a device at its part of a round.

    A restarted device, a reset replica or a refused result begins a new attempt, from the layer
    state of the round's start; nothing else is ever repeated.
    """

    assignment: Assignment
    attempt: AttemptKey
    phase: Phase = "absent"
    step: int = 0
    micro_batch: int = 0
    losses: tuple[float, ...] = ()
    worked_s: tuple[float, ...] = ()
    """The server's time for every micro-batch."""
    answered_at_s: float = 0.0
    exchanges_s: tuple[float, ...] = ()
    """From every gradient that was sent to the step that answered it."""
    failures: int = 0
    report: DeviceReport = field(factory=DeviceReport)
    samples: int = 0
    traffic: Traffic = field(factory=Traffic)
    uplink: RateHistory = field(factory=RateHistory)
    round_trips_s: tuple[float, ...] = ()
    returned_at_s: float = 0.0
    watch: Watch = field(factory=Watch)

    @property
    def device(self) -> DeviceId:
        return self.assignment.device

    @property
    def is_home(self) -> bool:
        """Tells whether the trained state is with us, so that the device is not needed."""
        return self.phase in ("collecting", "returned")

    def has_trained(self, local_steps: int) -> bool:
        """Tells whether the device may come home; one that trains everything tells of no step."""
        return self.assignment.is_whole_model or self.step == local_steps

    @property
    def mean_loss(self) -> float:
        """The mean over all micro-batches, NaN where nothing is known of it."""
        if self.report.mean_loss is not None and self.assignment.is_whole_model:
            return self.report.mean_loss
        return sum(self.losses) / len(self.losses) if self.losses else float("nan")

    @property
    def server_step_s(self) -> float:
        """The server's time for a local step: the median, 0 where nobody looked at a clock."""
        return median(self.worked_s) * self.assignment.micro_batches if self.worked_s else 0.0

    def heard(self, traffic: Traffic) -> Duty:
        """Returns the duty after a letter that came as fast as `traffic` tells."""
        link = traffic.link
        if not link.bytes_per_s:
            return self
        trips_s = (*self.round_trips_s[1 - _TRIPS_KEPT :], link.round_trip_s)
        return evolve(self, uplink=self.uplink.seen(link.bytes_per_s), round_trips_s=trips_s)

    @property
    def link(self) -> Reading:
        """What the letters of the attempt tell about the uplink."""
        trip_s = min((trip_s for trip_s in self.round_trips_s if trip_s > 0), default=0.0)
        return Reading(self.uplink.bytes_per_s, trip_s)

    def order(
        self, run: str, recipe: Recipe, position: int, program: str, tensors: Tensors
    ) -> RoundOrder:
        """Returns the letter that begins the attempt on the device."""
        assignment = self.assignment
        return RoundOrder(
            run=run,
            attempt=self.attempt,
            program=program,
            cut=assignment.cut,
            batch=assignment.batch,
            micro_batches=assignment.micro_batches,
            position=position,
            codec_up=assignment.codec_up,
            codec_down=assignment.codec_down,
            recipe=recipe,
            tensors=tensors,
        )

    def came_home(self, result: RoundResult, traffic: Traffic, now: float) -> Duty:
        """Returns the duty when the trained layer state has come, which is now collected."""
        return evolve(
            self,
            phase="collecting",
            report=result.report,
            samples=result.samples,
            traffic=traffic,
            watch=self.watch.came_home(traffic.link.letter_s, now),
        )

    def terms(self, began_s: float, local_steps: int) -> MeasuredTerms:
        """Returns where the time of a round went that began at `began_s`."""
        report = self.report
        return measured_terms(
            self.watch,
            began_s=began_s,
            returned_at_s=self.returned_at_s,
            compute_s=(local_steps * report.forward_s, local_steps * report.backward_s),
            worked_s=sum(self.worked_s),
            round_trip_s=self.link.round_trip_s,
        )

    def again(self) -> Duty:
        """Returns the next attempt, not yet begun."""
        key = attrs.evolve(self.attempt, number=self.attempt.number + 1)
        return Duty(self.assignment, key, failures=self.failures)

    @property
    def exchange_s(self) -> float:
        """The median time from a gradient to the next step, 0 before there was any."""
        return median(self.exchanges_s) if self.exchanges_s else 0.0

    def awaits(self, letter: Step, run: str) -> bool:
        """Tells whether this step is the one to come."""
        return (
            self.phase == "training"
            and (letter.step, letter.micro_batch) == (self.step, self.micro_batch)
            and (letter.run, letter.attempt) == (run, self.attempt)
            and not self.assignment.is_whole_model
        )

    def stepped(self, letter_s: float, now: float) -> Duty:
        """Returns the duty when a step has come, which the server now works on.

        `letter_s` is how long its letter was on its way.
        """
        exchanged_s = (now - self.answered_at_s,) if self.losses else ()
        return evolve(
            self,
            phase="serving",
            watch=self.watch.stepped(letter_s, now),
            exchanges_s=self.exchanges_s + exchanged_s,
        )

    def served(self, loss: float, worked_s: float, now: float) -> Duty:
        """Returns the duty after one micro-batch went through the server segment."""
        losses, worked = (*self.losses, loss), (*self.worked_s, worked_s)
        more = self.micro_batch + 1 < self.assignment.micro_batches
        step, micro_batch = (self.step, self.micro_batch + 1) if more else (self.step + 1, 0)
        return evolve(
            self,
            phase="training",
            losses=losses,
            worked_s=worked,
            answered_at_s=now,
            watch=self.watch.served(now),
            step=step,
            micro_batch=micro_batch,
        )
