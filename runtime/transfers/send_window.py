"""How much a party hands to its transport before the broker has taken what it handed before.

What waits there waits for its turn whatever the weights, and control messages wait behind it. So it
is what the broker takes in 0.15 s, and in the time that a message and its acknowledgement travel.
"""

from __future__ import annotations

import math

from runtime.transfers.link_rate import LinkRate
from runtime.transfers.trip import Trip

_WINDOW_S = 0.15
_LEAST_BYTES = 32 * 1024
_TELLING_BYTES = 16 * 1024
"""How fast the broker takes bytes is measured while so many wait for it: how long less takes
says more about the trip."""


class SendWindow:
    """Bytes that the broker has not taken yet, and how many there should be at most."""

    def __init__(self, cap_bytes_per_s: float | None = None) -> None:
        cap = math.inf if cap_bytes_per_s is None else cap_bytes_per_s
        self._most_bytes = cap * _WINDOW_S
        self._rate = LinkRate()
        self.in_flight_bytes = 0
        self._trip = Trip()

    def reset(self) -> None:
        """Starts over with a new connection, perhaps on another way."""
        self.in_flight_bytes = 0
        self._trip = Trip()
        self._rate.idle()

    def handed(self, size_bytes: int, now: float, *, is_acknowledged: bool = True) -> None:
        """Counts bytes that were handed over; of QoS 0 no acknowledgement tells a trip."""
        if not self.in_flight_bytes and is_acknowledged:
            self._trip.left(now)
        self.in_flight_bytes += size_bytes
        if self.in_flight_bytes >= _TELLING_BYTES:
            self._rate.busy(now)

    def taken(self, size_bytes: int, now: float) -> None:
        """Counts bytes that the broker has acknowledged."""
        self.in_flight_bytes = max(0, self.in_flight_bytes - size_bytes)
        self._rate.arrived(size_bytes, now, outstanding=self.in_flight_bytes > 0)
        self._trip.ended(now)

    @property
    def size_bytes(self) -> float:
        """How many bytes may be on their way."""
        ahead_s = _WINDOW_S + (self._trip.shortest_s or 0.0)
        wanted_bytes = (self._rate.bytes_per_s or 0.0) * ahead_s
        return min(self._most_bytes, max(_LEAST_BYTES, wanted_bytes))
