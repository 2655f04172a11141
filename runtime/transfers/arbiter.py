"""Who may send next: weighted deficit round robin (Shreedhar and Varghese, SIGCOMM 1995).

Among peers that have something to send, bytes divide by weight; a peer that has nothing leaves
the ring and its share is lent to the others until it comes back.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping

from runtime.ids import DeviceId

_QUANTUM_BYTES = 8 * 1024
"""A turn of the heaviest: on a slow link, 64 KiB kept a small letter waiting for all the others."""


class Arbiter:
    """Shares one direction of a connection among peers."""

    def __init__(self) -> None:
        self._weights: dict[DeviceId, float] = {}
        self._heaviest = 0.0
        self.ring: deque[DeviceId] = deque()
        """Who may have something to send."""
        self._deficits: dict[DeviceId, float] = {}

    def weigh(self, peer: DeviceId, weight: float) -> None:
        """Sets the weight of `peer` (1.0 unless told), from its next turn on."""
        if not 0 < weight < math.inf:
            raise ValueError("a weight must be above zero, and finite")
        before, self._weights[peer] = self._weights.get(peer, weight), weight
        if weight >= self._heaviest:
            self._heaviest = weight
        elif before == self._heaviest:
            self._heaviest = max(self._weights.values())

    def wake(self, peer: DeviceId) -> None:
        """Says that `peer` may have something to send."""
        if peer not in self._weights:
            self.weigh(peer, 1.0)
        if peer not in self._deficits:
            self.ring.append(peer)
            self._deficits[peer] = 0.0

    def next(
        self, cost: Callable[[DeviceId], int | None], room_bytes: float = math.inf
    ) -> DeviceId | None:
        """Returns whose turn it is, and charges it.

        `cost(peer)` is the size in bytes of what it would send now, or None when it has nothing;
        then it leaves the ring until the next `wake`. Returns None when the ring is empty or what
        is next is larger than `room_bytes`; it then keeps its turn.
        """
        short: dict[DeviceId, float] = {}
        while self.ring:
            peer = self.ring[0]
            size_bytes = cost(peer)
            if size_bytes is None:
                self.ring.popleft()
                del self._deficits[peer]
                short.pop(peer, None)
            elif len(self.ring) == 1:
                # Nobody else wants anything: nobody is owed anything.
                return peer if size_bytes <= room_bytes else None
            elif self._deficits[peer] >= size_bytes:
                if size_bytes > room_bytes:
                    return None
                self._deficits[peer] -= size_bytes
                return peer
            elif peer in short:
                self._skip_turns(short)
                short.clear()
            else:
                self._deficits[peer] += self._quantum(peer)
                short[peer] = size_bytes - self._deficits[peer]
                self.ring.rotate(-1)
        return None

    def _quantum(self, peer: DeviceId) -> float:
        # Only ratios count: whatever the scale of weights, a turn is at most one quantum.
        return _QUANTUM_BYTES * self._weights[peer] / self._heaviest

    def _skip_turns(self, short: Mapping[DeviceId, float]) -> None:
        """Adds what all would gain in the turns in which none could send.

        Weights may be tiny (a share of one among a thousand peers), chunks four quanta large.
        """
        turns = max(0, math.floor(min(short[peer] / self._quantum(peer) for peer in short)))
        for peer in short:
            self._deficits[peer] += turns * self._quantum(peer)
