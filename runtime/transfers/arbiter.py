"""Who may send next: weighted deficit round robin (Shreedhar and Varghese, SIGCOMM 1995).

Among peers that have something to send, bytes divide by weight; a peer that has nothing leaves
the ring and its share is lent to the others until it comes back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from runtime.ids import DeviceId

_QUANTUM_BYTES = 64 * 1024


class Arbiter:
    """Shares one direction of a connection among peers."""

    def __init__(self) -> None:
        self._weights: dict[DeviceId, float] = {}
        self._ring: deque[DeviceId] = deque()
        self._deficits: dict[DeviceId, float] = {}

    def weigh(self, peer: DeviceId, weight: float) -> None:
        """Sets the weight of `peer` (1.0 unless told), from its next turn on."""
        if not weight > 0:
            raise ValueError("a weight must be above zero")
        self._weights[peer] = weight

    def wake(self, peer: DeviceId) -> None:
        """Says that `peer` may have something to send."""
        if peer not in self._deficits:
            self._ring.append(peer)
            self._deficits[peer] = 0.0

    def next(self, cost: Callable[[DeviceId], int | None]) -> DeviceId | None:
        """Returns whose turn it is, and charges it.

        `cost(peer)` is the size in bytes of what it would send now, or None when it has nothing;
        then it leaves the ring until the next `wake`.
        """
        while self._ring:
            peer = self._ring[0]
            size_bytes = cost(peer)
            if size_bytes is None:
                self._ring.popleft()
                del self._deficits[peer]
            elif self._deficits[peer] >= size_bytes:
                self._deficits[peer] -= size_bytes
                return peer
            else:
                self._deficits[peer] += _QUANTUM_BYTES * self._weights.get(peer, 1.0)
                self._ring.rotate(-1)
        return None
