"""All transfers of one connection, in both directions.

As receiver it asks for what is offered, out of one budget for the whole connection (`granting`; a
budget per sender overflows the broker's queue once there are many). As sender it decides whose
chunk goes next (`sending`). Only chunks, and letters sent ahead, ever wait.
"""

from __future__ import annotations

import math
from collections.abc import Container

from attrs import frozen

from runtime.frames import Chunk, Frame, Grant, Offer, Receipt, Session
from runtime.ids import DeviceId
from runtime.transfers.caps import Caps
from runtime.transfers.deadlines import Deadlines
from runtime.transfers.exchange import Exchange
from runtime.transfers.granting import Granting
from runtime.transfers.inbox import Arrival, Inbox
from runtime.transfers.link_rate import LinkRate, chunk_bytes_at
from runtime.transfers.outbox import Outbox
from runtime.transfers.outputs import Confirmed, Deliver, Output, Rejected, Transmit
from runtime.transfers.pacer import BURST_S
from runtime.transfers.sending import Sending

_UNTOLD_BURST_S = 0.15
"""Where the rate of the link is not told, a chunk of others lasts an eighth of a second."""
_RIDE_S = 1.0
"""How long a receipt waits for an offer: well below what its sender waits for it, which is longer
where we have asked for every byte and will ask again for what does not come."""
_LONG_RIDE_S = 10.0


@frozen
class CourierLimits:
    """What this side of the connection accepts and how fast it may go."""

    letter_bytes: int = 512 * 1024 * 1024
    budget_bytes: int = 8 * 1024 * 1024
    takes_ahead: bool = False
    """Lets the peer send what is small for the link unasked: for who has one peer only."""
    uplink_bytes_per_s: float | None = None
    """Hard cap on what this party sends (the operator's, or an emulated board's)."""
    downlink_bytes_per_s: float | None = None
    """Hard cap on what this party asks for."""


class Courier:
    """Sans-IO: every method returns what to do, and `deadline` says when to call `tick`."""

    def __init__(self, limits: CourierLimits, answered: Container[str] = ()) -> None:
        """Receipts for letters of a kind in `answered` wait for the answer, to ride on it."""
        self._limits = limits
        self._answered = answered
        self._sessions: dict[DeviceId, Exchange] = {}
        self._due = Deadlines(self._deadline_of)
        self._piece_bytes = chunk_bytes_at(math.inf, limits.uplink_bytes_per_s or math.inf)
        self._up = False
        caps = Caps(self._due, BURST_S if limits.uplink_bytes_per_s else _UNTOLD_BURST_S)
        self._caps = caps
        self._granting = Granting(
            self._sessions, caps, self._due, limits.budget_bytes, limits.downlink_bytes_per_s
        )
        self._sending = Sending(self._sessions, caps, limits.uplink_bytes_per_s)
        pacers = (self._sending.pacer, self._granting.pacer)
        self._pacers = [pacer for pacer in pacers if pacer]
        self.dropped: dict[str, int] = {}

    def open(self, peer: DeviceId, session: Session, now: float) -> list[Output]:
        """Starts a session with `peer`; whatever belonged to an earlier one is gone."""
        known = self._sessions.get(peer)
        if known is not None and known.session == session:
            return []
        outputs = self.close(peer, now)
        rate = LinkRate(self._limits.downlink_bytes_per_s)
        ahead = self._limits.takes_ahead
        inbox = Inbox(session, self._limits.letter_bytes, rate, takes_ahead=ahead)
        outbox = Outbox(session, self._piece_bytes, self._answered)
        self._sessions[peer] = Exchange(session, outbox, inbox)
        return outputs

    def close(self, peer: DeviceId, now: float) -> list[Output]:
        """Forgets `peer`; what it was granted is for others."""
        exchange = self._sessions.pop(peer, None)
        if exchange is None:
            return []
        self._granting.credit.forget(exchange.account)
        self._count(exchange.inbox.dropped)
        return self._shared(now)

    def returned(self, peer: DeviceId, now: float) -> list[Output]:
        """Offers again what was offered to `peer` while it was away."""
        exchange = self._sessions.get(peer)
        if exchange is None:
            return []
        exchange.outbox.hurry(now)
        self._sending.wake(peer, now)
        return self._outward(peer, exchange, now)

    def knows(self, peer: DeviceId) -> bool:
        """Tells whether there is a session with `peer`."""
        return peer in self._sessions

    def weigh(self, peer: DeviceId, to_us: float, to_peer: float | None = None) -> None:
        """Sets the share of `peer`: of what it sends to us, and (the same unless told) gets."""
        self._granting.arbiter.weigh(peer, to_us)
        self._sending.arbiter.weigh(peer, to_us if to_peer is None else to_peer)

    def cap(self, peer: DeviceId, to_us: float | None, to_peer: float | None) -> None:
        """Sets hard caps on the bytes per second that `peer` sends to us and gets from us.

        Unlike a weight, a cap is never lent: what `peer` does not use is lost.
        """
        self._caps.set(peer, to_us, to_peer)

    def send(self, peer: DeviceId, kind: str, body: bytes, now: float) -> list[Output]:
        """Takes a letter for `peer`; without a session it is dropped, and counted."""
        exchange = self._sessions.get(peer)
        if exchange is None:
            self._count({"letter without session": 1})
            return []
        if not exchange.outbox.post(kind, body):
            self._count({"letter behind too many others": 1})
            return []
        return self._outward(peer, exchange, now) + self._shared(now, gets=peer)

    def connected(self, now: float) -> list[Output]:
        """Resumes everything after the transport came up."""
        self._up = True
        self._sending.window.reset()
        self._granting.credit.reset()
        for exchange in self._sessions.values():
            exchange.resume()
        return self._pump(tuple(self._sessions), now)

    def disconnected(self) -> None:
        """Stops sending until `connected`."""
        self._up = False

    def flushed(self, size_bytes: int, now: float) -> list[Output]:
        """Counts bytes that the broker has taken."""
        self._sending.window.taken(size_bytes, now)
        return self._shared(now)

    def transmitted(self, size_bytes: int, now: float, *, is_acknowledged: bool = True) -> None:
        """Counts bytes that were handed to the transport."""
        self._sending.handed(size_bytes, now, is_acknowledged=is_acknowledged)

    def received(self, peer: DeviceId, frame: Frame, now: float) -> list[Output]:
        """Takes a frame that came from `peer`."""
        exchange = self._sessions.get(peer)
        if exchange is None or frame.session != exchange.session:
            self._count({"frame of another session": 1})
            return []
        match frame:
            case Offer():
                return self._offered(peer, exchange, frame, now)
            case Chunk():
                answer = exchange.inbox.arrived(frame, now)
                return self._answer(peer, exchange, answer, now, now + _LONG_RIDE_S)
            case Grant():
                exchange.outbox.granted(frame, now)
                return self._outward(peer, exchange, now) + self._shared(now, gets=peer)
            case Receipt():
                word = self._receipted(peer, exchange, frame)
                shared = self._outward(peer, exchange, now) + self._shared(now, gets=peer)
                return shared + word

    def tick(self, now: float) -> list[Output]:
        """Repeats what has gone unanswered for too long."""
        due = self._due.take_until(now)
        for peer in due:
            self._sessions[peer].inbox.expire(now)
        return self._pump(due, now)

    def deadline(self, now: float, before_s: float = math.inf) -> float | None:
        """Returns when `tick` is due; perhaps None where that is not before `before_s`."""
        if not self._up:
            return None
        earliest = self._due.earliest(before_s)
        for pacer in self._pacers:
            ready_s = pacer.ready_at(now)
            if ready_s > now and (earliest is None or ready_s < earliest):
                earliest = ready_s
        return earliest

    @property
    def held_bytes(self) -> int:
        """Bytes of letters kept on either side, for the bound on memory."""
        return sum(exchange.held_bytes for exchange in self._sessions.values())

    def counts(self) -> dict[str, int]:
        """Returns what was dropped so far, by reason."""
        total = dict(self.dropped)
        for exchange in self._sessions.values():
            for reason, count in exchange.inbox.dropped.items():
                total[reason] = total.get(reason, 0) + count
        return total

    def _offered(
        self, peer: DeviceId, exchange: Exchange, offer: Offer, now: float
    ) -> list[Output]:
        if offer.body is not None:
            self._granting.came_unasked(len(offer.body), now)
        outputs: list[Output] = []
        if offer.receipt is not None:
            receipt = Receipt(offer.session, offer.receipt)
            word = self._receipted(peer, exchange, receipt)
            outputs = self._outward(peer, exchange, now) + word
        known, arrival = answer = exchange.inbox.offered(offer, now)
        if known is not None and arrival is None and known.refused is None:
            # It has not heard that the letter came, nor perhaps what came after that.
            outputs += self.returned(peer, now)
        return outputs + self._answer(peer, exchange, answer, now, now + _RIDE_S)

    def _answer(
        self,
        peer: DeviceId,
        exchange: Exchange,
        answer: tuple[Receipt | None, Arrival | None],
        now: float,
        owed_until_s: float,
    ) -> list[Output]:
        receipt, arrival = answer
        if receipt is not None and arrival is not None and arrival.kind in self._answered:
            receipt = exchange.owe(receipt, owed_until_s)
            self._due.look(peer, owed_until_s)
        outputs: list[Output] = [] if receipt is None else [Transmit(peer, receipt)]
        outputs += self._inward(peer, exchange, now)
        if arrival is not None:
            # What follows from a letter comes last: it finds the windows as they then are.
            outputs.append(Deliver(peer, arrival.kind, arrival.body))
        return outputs

    def _receipted(self, peer: DeviceId, exchange: Exchange, receipt: Receipt) -> list[Output]:
        kind, refused = exchange.outbox.receipted(receipt), receipt.refused
        if kind is None:
            return []
        return [Confirmed(peer, kind) if refused is None else Rejected(peer, kind, refused)]

    def _pump(self, peers: tuple[DeviceId, ...], now: float) -> list[Output]:
        """Goes on in both directions with peers for which the time has come."""
        if not self._up:
            return []
        outputs: list[Output] = []
        for peer in peers:
            exchange = self._sessions[peer]
            outputs += [self._sending.offer(peer, one) for one in exchange.outbox.offers(now)]
            if overdue := exchange.overdue(now):
                outputs.append(Transmit(peer, overdue))
            self._granting.credit.settle(peer, exchange.account, exchange.inbox, now)
            self._granting.wake(peer, now)
            self._sending.wake(peer, now)
        outputs += self._shared(now)
        for peer in peers:
            exchange = self._sessions[peer]
            self._look(peer, exchange.deadline())
            self._caps.hold(peer, exchange, now)
        return outputs

    def _inward(self, peer: DeviceId, exchange: Exchange, now: float) -> list[Output]:
        """Goes on with what a peer sends to us."""
        self._granting.credit.settle(peer, exchange.account, exchange.inbox, now)
        outputs = self._shared(now, sends=peer)
        self._caps.hold(peer, exchange, now)
        return outputs

    def _outward(self, peer: DeviceId, exchange: Exchange, now: float) -> list[Output]:
        """Offers what is to go to a peer; the rest is to be shared out."""
        if not self._up:
            return []
        outbox = exchange.outbox
        outputs: list[Output] = [self._sending.offer(peer, one) for one in outbox.offers(now)]
        self._look(peer, outbox.deadline())
        self._caps.hold(peer, exchange, now)
        return outputs

    def _shared(
        self, now: float, *, sends: DeviceId | None = None, gets: DeviceId | None = None
    ) -> list[Output]:
        """Shares out what there is to be granted and sent, as far as there is room.

        `sends` may have more to send to us, and `gets` more to get, than when it was looked at.
        """
        if not self._up:
            return []
        outputs: list[Output] = []
        if sends is not None or self._granting.arbiter.ring:
            outputs += self._granting.share(sends, now)
        if gets is not None or self._sending.arbiter.ring:
            outputs += self._sending.share(gets, now)
        return outputs

    def _look(self, peer: DeviceId, at_s: float | None) -> None:
        """Sees to it that a peer is looked at when its time comes, if it has one."""
        if at_s is not None:
            self._due.look(peer, at_s)

    def _deadline_of(self, peer: DeviceId) -> float | None:
        exchange = self._sessions.get(peer)
        return None if exchange is None else exchange.deadline()

    def _count(self, reasons: dict[str, int]) -> None:
        for reason, count in reasons.items():
            self.dropped[reason] = self.dropped.get(reason, 0) + count
