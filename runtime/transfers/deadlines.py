"""Who has to be looked at again, and when: a heap whose entries may be moved."""

from __future__ import annotations

import heapq

from runtime.ids import DeviceId


class Deadlines:
    """One deadline per peer, in seconds of the party's clock; the earliest is found at once."""

    def __init__(self) -> None:
        self._at: dict[DeviceId, float] = {}
        self._heap: list[tuple[float, DeviceId]] = []

    def set(self, peer: DeviceId, at_s: float | None) -> None:
        """Moves the deadline of `peer`; None removes it."""
        if at_s is None:
            self._at.pop(peer, None)
        elif self._at.get(peer) != at_s:
            self._at[peer] = at_s
            heapq.heappush(self._heap, (at_s, peer))
            if len(self._heap) > 2 * len(self._at) + 16:
                self._heap = [(at, peer) for peer, at in self._at.items()]
                heapq.heapify(self._heap)

    def earliest(self) -> float | None:
        """Returns the earliest deadline."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take_until(self, now: float) -> tuple[DeviceId, ...]:
        """Removes and returns who is due, the earliest first."""
        due = []
        while (at_s := self.earliest()) is not None and at_s <= now:
            peer = self._heap[0][1]
            del self._at[peer]
            due.append(peer)
        return tuple(due)
