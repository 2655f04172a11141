"""A token bucket: a hard cap on bytes per second, for operators and for shares of a budget."""

from __future__ import annotations

BURST_S = 0.075
"""What an idle bucket saves up, in general. A message may have had to wait for the turn of another:
of 256 KiB at 40 Mbit/s, 52 ms. What is saved beyond that would exceed the cap after every pause."""


class Pacer:
    """Lets bytes through at `rate_bytes_per_s` on average.

    Spending may overdraw the bucket, so that a message is never split for it; what follows
    then waits until the debt is paid.
    """

    def __init__(self, rate_bytes_per_s: float, burst_s: float = BURST_S) -> None:
        if rate_bytes_per_s <= 0:
            raise ValueError("a rate cap must be above zero")
        self._rate = rate_bytes_per_s
        self._tokens = self._most_tokens = rate_bytes_per_s * burst_s
        self._at_s = 0.0

    def spend(self, size_bytes: int, now: float) -> None:
        """Takes `size_bytes` out of the bucket, into debt if need be."""
        self._refill(now)
        self._tokens -= size_bytes

    def ready_at(self, now: float) -> float:
        """Returns when the bucket is out of debt: `now` if it is."""
        self._refill(now)
        return now if self._tokens >= 0 else now - self._tokens / self._rate

    def _refill(self, now: float) -> None:
        elapsed_s = max(0.0, now - self._at_s)
        self._at_s = now
        self._tokens = min(self._most_tokens, self._tokens + elapsed_s * self._rate)
