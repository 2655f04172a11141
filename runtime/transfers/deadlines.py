"""Who has to be looked at again, and when: a heap that asks again before it tells."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable

from runtime.ids import DeviceId


class Deadlines:
    """One deadline per peer, in seconds of the party's clock; the earliest is found at once.

    Most news of a peer puts its deadline off. It is not reckoned anew for that: `of` is asked,
    and tells None where there is no deadline, when the time has come at which the peer was to be
    looked at.
    """

    def __init__(self, of: Callable[[DeviceId], float | None]) -> None:
        self._of = of
        self._queued: dict[DeviceId, float] = {}
        """Of each peer, the one entry in the heap that counts; never later than its deadline."""
        self._heap: list[tuple[float, DeviceId]] = []

    def look(self, peer: DeviceId, at_s: float) -> None:
        """Says that the deadline of `peer` is not before `at_s`, unless it was said before."""
        if self._queued.get(peer, math.inf) > at_s:
            self._queued[peer] = at_s
            heapq.heappush(self._heap, (at_s, peer))
            if len(self._heap) > 2 * len(self._queued) + 16:
                self._heap = [(at, peer) for peer, at in self._queued.items()]
                heapq.heapify(self._heap)

    def earliest(self, before_s: float = math.inf) -> float | None:
        """Returns the earliest deadline, None where it is not before `before_s`."""
        while self._heap and self._heap[0][0] < before_s:
            queued_s, peer = heapq.heappop(self._heap)
            if self._queued.get(peer) != queued_s:
                continue
            del self._queued[peer]
            at_s = self._of(peer)
            if at_s is None:
                continue
            self.look(peer, max(at_s, queued_s))
            if at_s <= queued_s:
                return queued_s
        return None

    def take_until(self, now: float) -> tuple[DeviceId, ...]:
        """Removes and returns who is due, the earliest first."""
        due = []
        while (at_s := self.earliest()) is not None and at_s <= now:
            _, peer = heapq.heappop(self._heap)
            del self._queued[peer]
            due.append(peer)
        return tuple(due)
