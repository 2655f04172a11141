"""Receipts that wait for a letter the other way to ride on, as TCP's acknowledgements do.

A step is answered by a gradient, a gradient by the next step: one frame in eight, and one
message of the broker's, would only say that what is answered has come.
"""

from __future__ import annotations

from runtime.frames import Receipt
from runtime.ids import DeviceId

_PATIENCE_S = 0.25
"""Well below the second after which an unconfirmed letter is offered again."""


class Owed:
    """At most one receipt for each peer: letters without an answer are confirmed as they come."""

    def __init__(self) -> None:
        self._receipts: dict[DeviceId, tuple[float, Receipt]] = {}
        """With the time until which it waits; the earliest comes first."""

    def owe(self, peer: DeviceId, receipt: Receipt, now: float) -> Receipt | None:
        """Keeps a receipt back; returns the one that waits no longer for it."""
        earlier = self.pay(peer)
        self._receipts[peer] = (now + _PATIENCE_S, receipt)
        return earlier

    def pay(self, peer: DeviceId) -> Receipt | None:
        """Returns what `peer` is owed, which is then settled."""
        _, receipt = self._receipts.pop(peer, (0.0, None))
        return receipt

    def overdue(self, now: float) -> list[DeviceId]:
        """Returns the peers that no letter went to in time."""
        return [peer for peer, (due_s, _) in self._receipts.items() if due_s <= now]

    def deadline(self) -> float | None:
        """Returns when the first receipt has waited long enough."""
        return next(iter(self._receipts.values()))[0] if self._receipts else None
