"""Who may send next: weighted fair queueing (Demers, Keshav and Shenker, SIGCOMM 1989).

Among peers that have something to send, bytes divide by weight; the share of a peer that has
nothing is lent to the others until it comes back.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from itertools import count

from runtime.ids import DeviceId


class Arbiter:
    """Shares one direction of a connection among peers.

    Messages go in the order in which they would end if all peers sent at the same time, each at
    the rate of its share. Of the others nobody is asked, however many wait. Virtual time is in
    bytes for a weight of one: it passes as fast as such a peer would be served.
    """

    def __init__(self, cost: Callable[[DeviceId], int | None]) -> None:
        """`cost(peer)` is the size in bytes of what it would send now, None for nothing."""
        self._cost = cost
        self._weights: dict[DeviceId, float] = {}
        self.ring: list[tuple[float, int, DeviceId]] = []
        """Who may have something to send: a heap by the virtual time at which it would end."""
        self._waiting: dict[DeviceId, tuple[float, int]] = {}
        """Weight and size of those in the ring as they came to it; the sum of their weights."""
        self._total_weight = 0.0
        self._virtual = 0.0
        self._ends: dict[DeviceId, float] = {}
        """When the last messages would end of peers that were served since nobody waited."""
        self._places = count()

    def weigh(self, peer: DeviceId, weight: float) -> None:
        """Sets the weight of `peer` (1.0 unless told), from its next message on."""
        if not 0 < weight < math.inf:
            raise ValueError("a weight must be above zero, and finite")
        self._weights[peer] = weight

    def weight(self, peer: DeviceId) -> float:
        """Returns the weight of `peer`."""
        return self._weights.get(peer, 1.0)

    def wake(self, peer: DeviceId) -> None:
        """Says that `peer` may have something to send, or more of it."""
        if peer in self._waiting:
            return
        size_bytes = self._cost(peer)
        if size_bytes is not None:
            self._wait(peer, size_bytes)

    def next(
        self, room_bytes: float = math.inf, woken: DeviceId | None = None
    ) -> tuple[DeviceId, int] | None:
        """Returns whose turn it is and what it costs; it has no other until it is woken again.

        Returns None when nobody has anything, or what is next is larger than `room_bytes`; it
        then keeps its turn. `woken` is woken before; where nobody waits, it is asked only once.
        """
        if woken is not None and self.ring:
            self.wake(woken)
        elif woken is not None:
            size_bytes = self._cost(woken)
            if size_bytes is not None:
                return self._alone(woken, size_bytes, room_bytes)
        while self.ring:
            end, _, peer = self.ring[0]
            size_bytes = self._cost(peer)
            if size_bytes is not None and size_bytes > room_bytes:
                return None
            heapq.heappop(self.ring)
            total, (weight, awaited_bytes) = self._total_weight, self._waiting.pop(peer)
            self._total_weight = total - weight
            if size_bytes is not None:
                self._virtual += size_bytes / max(total, weight)
                self._ends[peer] = end + (size_bytes - awaited_bytes) / weight
                return peer, size_bytes
        # Nobody wants anything: nobody is owed anything.
        self._total_weight = self._virtual = 0.0
        self._ends.clear()
        return None

    def _wait(self, peer: DeviceId, size_bytes: int) -> None:
        weight = self._weights.get(peer, 1.0)
        start = max(self._virtual, self._ends.get(peer, 0.0))
        heapq.heappush(self.ring, (start + size_bytes / weight, next(self._places), peer))
        self._waiting[peer] = weight, size_bytes
        self._total_weight += weight

    def _alone(
        self, peer: DeviceId, size_bytes: int, room_bytes: float
    ) -> tuple[DeviceId, int] | None:
        """Gives a peer its turn while nobody else waits, or lets it wait for room."""
        if size_bytes > room_bytes:
            self._wait(peer, size_bytes)
            return None
        start, ahead = self._ends.get(peer, 0.0), size_bytes / self._weights.get(peer, 1.0)
        self._ends[peer] = max(self._virtual, start) + ahead
        self._virtual += ahead
        return peer, size_bytes
