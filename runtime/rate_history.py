"""The rates at which a link was seen to carry bytes, and what they say about the link."""

from __future__ import annotations

from attrs import frozen

_KEPT = 32
_QUANTILE = 0.75


@frozen
class RateHistory:
    """The latest rates of one direction, in bytes per second.

    A link that is shared for a while looks slow, one that empties a queue looks fast; the upper
    quartile is little moved by either.
    """

    rates: tuple[float, ...] = ()

    def seen(self, bytes_per_s: float) -> RateHistory:
        """Returns the history with one more rate; 0 says that nothing is known."""
        if bytes_per_s <= 0:
            return self
        return RateHistory((*self.rates, bytes_per_s)[-_KEPT:])

    @property
    def bytes_per_s(self) -> float:
        """What the link carries, 0 where nothing was seen."""
        if not self.rates:
            return 0.0
        return sorted(self.rates)[int(_QUANTILE * (len(self.rates) - 1) + 0.5)]
