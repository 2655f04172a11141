"""How long the way to somebody and back is."""

from __future__ import annotations


class Trip:
    """How long a message takes there, and its answer back, at best."""

    __slots__ = ("_left_at_s", "shortest_s")

    def __init__(self) -> None:
        self.shortest_s: float | None = None
        self._left_at_s: float | None = None

    def left(self, now: float) -> None:
        """Says that a message left while none was on its way."""
        self._left_at_s = now

    def ended(self, now: float) -> None:
        """Says that the answer came to the oldest message on its way."""
        if self._left_at_s is not None:
            trip_s = now - self._left_at_s
            known_s = self.shortest_s
            self.shortest_s = trip_s if known_s is None else min(known_s, trip_s)
            self._left_at_s = None
