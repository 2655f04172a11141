"""A delay that others can only lengthen: the least of what was seen lately is what it is."""

from __future__ import annotations

import math

from attrs import frozen

_KEPT = 6


@frozen
class Least:
    """The least of the latest positive samples; `value` is 0 before the first.

    A round trip is measured while letters of other devices stand in the way. What they add is
    no property of the link, and a planner counts it where links are shared.
    """

    samples: tuple[float, ...] = ()

    def updated(self, sample: float) -> Least:
        """Returns what is known after one more sample; one that is not positive tells nothing."""
        if not 0 < sample < math.inf:
            return self
        return Least((*self.samples, sample)[-_KEPT:])

    @property
    def value(self) -> float:
        return min(self.samples, default=0.0)
