"""A quantity that is measured again and again while it may change."""

from __future__ import annotations

import math

import attrs
from attrs import frozen

_WEIGHT = 0.3
_JUMP = math.log(1.3)


@frozen
class Tracked:
    """The robust average of positive samples; `value` is 0 before the first.

    Samples are medians of a round, so that one that lies far off is a change and no outlier: it
    replaces the average at once. `samples` counts those since then, `at_s` is the latest's time.
    `rumour` is a sample that was too good to be believed alone, 0 if there is none.
    """

    value: float = 0.0
    samples: int = 0
    at_s: float = 0.0
    rumour: float = 0.0

    def updated(self, sample: float, now: float, *, doubtful: bool = False) -> Tracked:
        """Returns the average with one more sample; one that is not positive tells nothing.

        A `doubtful` sample that lies far off is believed when the next one agrees with it.
        """
        if not 0 < sample < math.inf:
            return self
        if self.value == 0:
            return Tracked(sample, 1, now)
        if _far(sample, self.value):
            if doubtful and not (self.rumour and not _far(sample, self.rumour)):
                return attrs.evolve(self, rumour=sample)
            return Tracked(sample, 1, now)
        value = self.value + max(_WEIGHT, 1 / (self.samples + 1)) * (sample - self.value)
        return Tracked(value, self.samples + 1, now)

    def risen(self, sample: float, now: float) -> Tracked:
        """Returns the same, doubtful of a sample above the average."""
        return self.updated(sample, now, doubtful=sample > self.value)

    @property
    def confidence(self) -> float:
        """From 0 (nothing is known) towards 1 (many samples agree)."""
        return 1 - 1 / (1 + self.samples)

    def age_s(self, now: float) -> float:
        """Returns for how long nothing was measured; infinite before the first sample."""
        return now - self.at_s if self.samples else math.inf


def _far(sample: float, value: float) -> bool:
    return abs(math.log(sample / value)) > _JUMP
