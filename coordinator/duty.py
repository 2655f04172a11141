"""One device's round: the unit of recovery, and how far it has come."""

from __future__ import annotations

from typing import Literal

import attrs
from attrs import field, frozen

from coordinator.plan import Assignment
from runtime.ids import DeviceId
from runtime.letters import AttemptKey, DeviceReport
from runtime.party import Traffic

Phase = Literal["absent", "preparing", "training", "serving", "collecting", "returned"]


@frozen
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
    failures: int = 0
    report: DeviceReport = field(factory=DeviceReport)
    samples: int = 0
    traffic: Traffic = field(factory=Traffic)
    returned_at_s: float = 0.0

    @property
    def device(self) -> DeviceId:
        return self.assignment.device

    @property
    def is_home(self) -> bool:
        """Tells whether the trained state is with us, so that the device is not needed."""
        return self.phase in ("collecting", "returned")

    @property
    def mean_loss(self) -> float:
        return sum(self.losses) / len(self.losses) if self.losses else float("nan")

    def again(self) -> Duty:
        """Returns the next attempt, not yet begun."""
        key = attrs.evolve(self.attempt, number=self.attempt.number + 1)
        return Duty(self.assignment, key, failures=self.failures)

    def served(self, loss: float) -> Duty:
        """Returns the duty after one micro-batch went through the server segment."""
        losses = (*self.losses, loss)
        more = self.micro_batch + 1 < self.assignment.micro_batches
        step, micro_batch = (self.step, self.micro_batch + 1) if more else (self.step + 1, 0)
        return attrs.evolve(
            self, phase="training", losses=losses, step=step, micro_batch=micro_batch
        )
