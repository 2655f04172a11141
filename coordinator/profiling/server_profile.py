"""What is known of the server: how long a worker is busy with one device's step."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import attrs
from attrs import field, frozen

from coordinator.profiling.time_model import Load, Timed, TimeModel, fit
from coordinator.profiling.tracked import Tracked

_PROBES_KEPT = 64


@frozen
class ServerProfile:
    """Times of server segments, by probes before the first round and by real steps after."""

    probed: tuple[Timed, ...] = ()
    pace: Tracked = field(factory=Tracked)

    def with_probe(self, load: Load, worked_s: float) -> ServerProfile:
        """Returns the profile after a step on the server; no time tells nothing."""
        if worked_s <= 0:
            return self
        return attrs.evolve(self, probed=(*self.probed, Timed(load, worked_s))[-_PROBES_KEPT:])

    def updated(self, steps: Iterable[Timed], now: float) -> ServerProfile:
        """Returns the profile after a round of real steps, those of a device in one."""
        timed = [step for step in steps if step.seconds > 0]
        if timed and not self.probed:
            first, *rest = timed
            return self.with_probe(first.load, first.seconds).updated(rest, now)
        pace = self.pace
        for step in timed:
            foretold_s = self.model.seconds(step.load)
            if foretold_s > 0:
                pace = pace.updated(step.seconds / foretold_s, now)
        return attrs.evolve(self, pace=pace)

    @cached_property
    def model(self) -> TimeModel:
        """Foretells the steps from the probes alone."""
        return fit(self.probed)

    def step_s(self, load: Load) -> float:
        """Returns the time of one step, 0 while nothing is known."""
        return (self.pace.value or 1.0) * self.model.seconds(load)
