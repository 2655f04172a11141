"""A part of a round that the round goes on without."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from coordinator.duty import Duty
from runtime.ids import DeviceId


@frozen
class Dropped:
    """What was given up, why, and when: seconds since the round began."""

    duty: Duty
    reason: str
    after_s: float

    @property
    def device(self) -> DeviceId:
        return self.duty.device

    def entry(self) -> dict[str, Any]:
        """Returns it as the round's record holds it."""
        return {
            "device": self.device,
            "attempt": self.duty.attempt.number,
            "step": self.duty.step,
            "after_s": self.after_s,
            "reason": self.reason,
        }
