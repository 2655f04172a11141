"""A quantity that is measured again and again while it may change."""

from __future__ import annotations

import math

from attrs import frozen

_WEIGHT = 0.3
_JUMP = math.log(1.3)


@frozen
class Tracked:
    """The robust average of positive samples; `value` is 0 before the first.

    Samples are medians of a round, so that one that lies far off is a change and no outlier: it
    replaces the average at once. `samples` counts those since then, `at_s` is the latest's time.
    """

    value: float = 0.0
    samples: int = 0
    at_s: float = 0.0

    def updated(self, sample: float, now: float) -> Tracked:
        """Returns the average with one more sample; one that is not positive tells nothing."""
        if not 0 < sample < math.inf:
            return self
        if self.value == 0 or abs(math.log(sample / self.value)) > _JUMP:
            return Tracked(sample, 1, now)
        value = self.value + max(_WEIGHT, 1 / (self.samples + 1)) * (sample - self.value)
        return Tracked(value, self.samples + 1, now)

    @property
    def confidence(self) -> float:
        """From 0 (nothing is known) towards 1 (many samples agree)."""
        return 1 - 1 / (1 + self.samples)

    def age_s(self, now: float) -> float:
        """Returns for how long nothing was measured; infinite before the first sample."""
        return now - self.at_s if self.samples else math.inf
