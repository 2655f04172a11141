"""How a segment learns: the part of a job that both sides of the cut must agree on."""

from __future__ import annotations

from attrs import field, frozen, validators

from runtime.optimisers import OptimiserSpec
from runtime.schedules import ScheduleSpec


@frozen
class Recipe:
    """Arrives at the board as data with every round's order, never as code."""

    seed: int
    rounds: int = field(validator=validators.ge(1))
    local_steps: int = field(validator=validators.ge(1))
    optimiser: OptimiserSpec
    schedule: ScheduleSpec

    def global_step(self, round: int, step: int) -> int:
        """Returns the 1-based count of steps since the run began (`round` from 1, `step` from 0).

        Moment estimates use it for bias correction; as a function of round and step it needs
        no counter that a crash could lose.
        """
        return (round - 1) * self.local_steps + step + 1
