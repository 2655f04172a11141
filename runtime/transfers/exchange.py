"""Both directions of one session with a peer."""

from __future__ import annotations

from attrs import define, field

from runtime.frames import Receipt, Session
from runtime.transfers.account import Account
from runtime.transfers.inbox import Inbox
from runtime.transfers.outbox import Outbox


@define
class Exchange:
    """What is sent to a peer, what it sends to us, and how much of the latter is granted."""

    session: Session
    outbox: Outbox
    inbox: Inbox
    account: Account = field(factory=Account)
    """What it counts for in the credit of the connection."""
    held_until_s: float | None = None
    """When a cap lets the peer go on."""
    owed: Receipt | None = None
    """Waits for an offer to ride on, as TCP's acknowledgements do for data."""
    owed_until_s: float | None = None
    """When it goes alone."""

    def resume(self) -> None:
        """Goes on with a new connection: all that was under way goes again."""
        self.outbox.resume()
        self.inbox.resume()

    def owe(self, receipt: Receipt, until_s: float) -> Receipt | None:
        """Keeps a receipt back; returns the one before it, which waits no longer."""
        earlier = self.pay()
        self.owed, self.owed_until_s = receipt, until_s
        return earlier

    def pay(self) -> Receipt | None:
        """Returns the receipt that was kept back, which is settled with that."""
        receipt, self.owed, self.owed_until_s = self.owed, None, None
        return receipt

    def overdue(self, now: float) -> Receipt | None:
        """Returns the receipt, settled with that, if it has waited long enough."""
        waits = self.owed_until_s is None or self.owed_until_s > now
        return None if waits else self.pay()

    @property
    def held_bytes(self) -> int:
        """Bytes of letters kept on either side."""
        return self.outbox.held_bytes + self.inbox.held_bytes

    def deadline(self) -> float | None:
        """Returns when one of the two has to be looked at again, or a cap be asked."""
        earliest_s = self.outbox.deadline()
        for at_s in (self.inbox.deadline(), self.held_until_s, self.owed_until_s):
            if at_s is not None and (earliest_s is None or at_s < earliest_s):
                earliest_s = at_s
        return earliest_s
