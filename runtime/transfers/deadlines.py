"""Who has to be looked at again, and when: a heap whose entries may be moved."""

from __future__ import annotations

import heapq
import math

from runtime.ids import DeviceId


class Deadlines:
    """One deadline per peer, in seconds of the party's clock; the earliest is found at once.

    Most moves put a deadline off. They leave its entry in the heap where it is: it is moved when
    it has come to the top.
    """

    def __init__(self) -> None:
        self._at: dict[DeviceId, float] = {}
        self._queued: dict[DeviceId, float] = {}
        """Of each peer, the one entry in the heap that counts; never later than its deadline."""
        self._heap: list[tuple[float, DeviceId]] = []

    def set(self, peer: DeviceId, at_s: float | None) -> None:
        """Moves the deadline of `peer`; None removes it."""
        if at_s is None:
            self._at.pop(peer, None)
            return
        self._at[peer] = at_s
        if self._queued.get(peer, math.inf) > at_s:
            self._queued[peer] = at_s
            heapq.heappush(self._heap, (at_s, peer))
            if len(self._heap) > 2 * len(self._queued) + 16:
                self._heap = [(at, peer) for peer, at in self._queued.items()]
                heapq.heapify(self._heap)

    def earliest(self) -> float | None:
        """Returns the earliest deadline."""
        while self._heap:
            queued_s, peer = self._heap[0]
            at_s = self._at.get(peer)
            if at_s == queued_s:
                return at_s
            heapq.heappop(self._heap)
            if self._queued.get(peer) == queued_s:
                del self._queued[peer]
                self.set(peer, at_s)
        return None

    def take_until(self, now: float) -> tuple[DeviceId, ...]:
        """Removes and returns who is due, the earliest first."""
        due = []
        while (at_s := self.earliest()) is not None and at_s <= now:
            peer = self._heap[0][1]
            del self._at[peer]
            due.append(peer)
        return tuple(due)
