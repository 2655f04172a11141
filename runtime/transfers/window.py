"""How many bytes may be on their way: what the link takes in some time, and in a message's trip.

It is found out for what a party hands to its transport, until the broker has taken it, and for
what it has asked all others for, until that comes.
"""

from __future__ import annotations

import math

from runtime.transfers.link_rate import LinkRate
from runtime.transfers.trip import Trip

_TELLING_BYTES = 16 * 1024
"""The rate is measured while so many are on their way: how long less takes says more about the
trip."""


class Window:
    """Bytes that are on their way, and how many there should be at most."""

    def __init__(
        self, ahead_s: float, least_bytes: int, cap_bytes_per_s: float | None = None
    ) -> None:
        """Lets bytes for `ahead_s` wait in the link, or `least_bytes`; less under a cap."""
        cap = math.inf if cap_bytes_per_s is None else cap_bytes_per_s
        self._ahead_s = ahead_s
        self._least_bytes = least_bytes
        self._most_bytes = cap * ahead_s
        self._rate = LinkRate()
        self._trip = Trip()
        self.in_flight_bytes = 0

    def reset(self) -> None:
        """Starts over with a new connection, perhaps on another way."""
        self._trip = Trip()
        self.lost(self.in_flight_bytes)

    def handed(self, size_bytes: int, now: float) -> None:
        """Counts bytes that have left, or were asked for."""
        if not self.in_flight_bytes:
            self._trip.left(now)
        self.in_flight_bytes += size_bytes
        if self.in_flight_bytes >= _TELLING_BYTES:
            self._rate.busy(now)

    def taken(self, size_bytes: int, now: float) -> None:
        """Counts bytes that the broker has acknowledged, or that came."""
        self.in_flight_bytes = max(0, self.in_flight_bytes - size_bytes)
        self._rate.arrived(size_bytes, now, outstanding=self.in_flight_bytes > 0)
        self._trip.ended(now)

    def lost(self, size_bytes: int) -> None:
        """Counts bytes that are awaited no longer."""
        self.in_flight_bytes = max(0, self.in_flight_bytes - size_bytes)
        if not self.in_flight_bytes:
            self._trip.broken_off()
            self._rate.idle()

    @property
    def size_bytes(self) -> float:
        """How many bytes may be on their way."""
        return self.over(self._trip)

    def over(self, trip: Trip) -> float:
        """Returns how many bytes may be on a way of this trip; unknown, it is as any other."""
        trip_s = trip.shortest_s or self._trip.shortest_s or 0.0
        wanted_bytes = (self._rate.bytes_per_s or 0.0) * (self._ahead_s + trip_s)
        return min(self._most_bytes, max(self._least_bytes, wanted_bytes))
