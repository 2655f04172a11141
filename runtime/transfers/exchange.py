"""Both directions of one session with a peer."""

from __future__ import annotations

from attrs import define

from runtime.frames import Session
from runtime.transfers.inbox import Inbox
from runtime.transfers.outbox import Outbox


@define
class Exchange:
    """What is sent to a peer, what it sends to us, and how much of the latter is granted."""

    session: Session
    outbox: Outbox
    inbox: Inbox
    granted_bytes: int = 0
    """As far as the budget of the connection has been charged for it."""
    held_until_s: float | None = None
    """When a cap lets the peer go on."""

    @property
    def held_bytes(self) -> int:
        """Bytes of letters kept on either side."""
        return self.outbox.held_bytes + self.inbox.held_bytes

    def deadline(self) -> float | None:
        """Returns when one of the two has to be looked at again, or a cap be asked."""
        times = (self.outbox.deadline(), self.inbox.deadline(), self.held_until_s)
        return min((at_s for at_s in times if at_s is not None), default=None)
