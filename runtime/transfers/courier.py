"""All transfers of one connection: the arbiter of bandwidth in both directions.

As receiver it hands out credit, out of one budget for the whole connection (a budget per sender
overflows the broker's queue once there are many). As sender it decides whose chunk goes next
and keeps what it hands to the transport short. Frames that are not chunks never wait.
"""

from __future__ import annotations

import math

from attrs import frozen

from runtime.frames import Chunk, Frame, Grant, Offer, Range, Receipt, Session
from runtime.ids import DeviceId
from runtime.transfers.arbiter import Arbiter
from runtime.transfers.caps import Caps
from runtime.transfers.deadlines import Deadlines
from runtime.transfers.inbox import Arrival, Inbox
from runtime.transfers.link_rate import LinkRate
from runtime.transfers.outbox import Outbox
from runtime.transfers.pacer import Pacer

_LEAST_SEND_WINDOW_BYTES = 512 * 1024
"""Bytes handed to the transport that the broker has not taken yet; more where it takes more in
a quarter of a second. What peers want beyond waits with us, for the arbiter to share out."""


@frozen
class CourierLimits:
    """What this side of the connection accepts and how fast it may go."""

    letter_bytes: int = 512 * 1024 * 1024
    budget_bytes: int = 8 * 1024 * 1024
    uplink_bytes_per_s: float | None = None
    """Hard cap on what this party sends (the operator's, or an emulated board's)."""
    downlink_bytes_per_s: float | None = None
    """Hard cap on what this party asks for."""


@frozen
class Transmit:
    """Put this frame on the wire towards `peer`."""

    peer: DeviceId
    frame: Frame


@frozen
class Deliver:
    """A whole letter came from `peer`."""

    peer: DeviceId
    kind: str
    body: bytes


@frozen
class Rejected:
    """`peer` will not take a letter of this kind."""

    peer: DeviceId
    kind: str
    reason: str


Output = Transmit | Deliver | Rejected


class Courier:
    """Sans-IO: every method returns what to do, and `deadline` says when to call `tick`."""

    def __init__(self, limits: CourierLimits) -> None:
        self._limits = limits
        self._sessions: dict[DeviceId, Session] = {}
        self._outboxes: dict[DeviceId, Outbox] = {}
        self._inboxes: dict[DeviceId, Inbox] = {}
        self._due = Deadlines()
        self._granted: dict[DeviceId, int] = {}
        self._granted_bytes = 0
        self._up = False
        self._now = 0.0
        self._in_flight_bytes = 0
        self._taken = LinkRate()
        self._granting = Arbiter()
        self._sending = Arbiter()
        self._caps = Caps()
        self._up_pacer = _pacer(limits.uplink_bytes_per_s)
        self._down_pacer = _pacer(limits.downlink_bytes_per_s)
        self.dropped: dict[str, int] = {}

    def open(self, peer: DeviceId, session: Session) -> None:
        """Starts a session with `peer`; whatever belonged to an earlier one is gone."""
        if self._sessions.get(peer) != session:
            self.close(peer)
            self._sessions[peer] = session
            self._outboxes[peer] = Outbox(session)
            rate = LinkRate(self._limits.downlink_bytes_per_s)
            self._inboxes[peer] = Inbox(session, self._limits.letter_bytes, rate)

    def close(self, peer: DeviceId) -> None:
        """Forgets `peer`."""
        if self._sessions.pop(peer, None) is not None:
            del self._outboxes[peer]
            self._due.set(peer, None)
            self._granted_bytes -= self._granted.pop(peer, 0)
            self._count(self._inboxes.pop(peer).dropped)

    def knows(self, peer: DeviceId) -> bool:
        """Tells whether there is a session with `peer`."""
        return peer in self._sessions

    def weigh(self, peer: DeviceId, to_us: float, to_peer: float | None = None) -> None:
        """Sets the share of `peer`: of what it sends to us, and (the same unless told) gets."""
        self._granting.weigh(peer, to_us)
        self._sending.weigh(peer, to_us if to_peer is None else to_peer)

    def cap(self, peer: DeviceId, to_us: float | None, to_peer: float | None) -> None:
        """Sets hard caps on the bytes per second that `peer` sends to us and gets from us.

        Unlike a weight, a cap is never lent: what `peer` does not use is lost.
        """
        self._caps.set(peer, to_us, to_peer)

    def send(self, peer: DeviceId, kind: str, body: bytes, now: float) -> list[Output]:
        """Takes a letter for `peer`; without a session it is dropped, and counted."""
        outbox = self._outboxes.get(peer)
        if outbox is None:
            self._count({"letter without session": 1})
            return []
        outbox.post(kind, body)
        return self._pump(now, (peer,))

    def connected(self, now: float) -> list[Output]:
        """Resumes everything after the transport came up."""
        self._up, self._in_flight_bytes = True, 0
        self._taken.idle()
        for peer in self._sessions:
            self._outboxes[peer].resume()
            self._inboxes[peer].resume()
        return self._pump(now, tuple(self._sessions))

    def disconnected(self) -> None:
        """Stops sending until `connected`."""
        self._up = False

    def flushed(self, size_bytes: int, now: float) -> list[Output]:
        """Counts bytes that the broker has taken."""
        self._in_flight_bytes = max(0, self._in_flight_bytes - size_bytes)
        self._taken.arrived(size_bytes, now, outstanding=self._in_flight_bytes > 0)
        return self._pump(now, ())

    def transmitted(self, size_bytes: int, now: float) -> None:
        """Counts bytes that were handed to the transport."""
        self._in_flight_bytes += size_bytes
        self._taken.busy(now)
        if self._up_pacer:
            self._up_pacer.spend(size_bytes, now)

    def received(self, peer: DeviceId, frame: Frame, now: float) -> list[Output]:
        """Takes a frame that came from `peer`."""
        if frame.session != self._sessions.get(peer):
            self._count({"frame of another session": 1})
            return []
        outbox, inbox = self._outboxes[peer], self._inboxes[peer]
        match frame:
            case Offer():
                if self._down_pacer and frame.body is not None:
                    self._down_pacer.spend(len(frame.body), now)
                return self._answer(peer, *inbox.offered(frame, now), now)
            case Chunk():
                return self._answer(peer, *inbox.arrived(frame, now), now)
            case Grant():
                outbox.granted(frame, now)
                return self._pump(now, (peer,))
            case Receipt():
                kind = outbox.receipted(frame)
                rejected = kind is not None and frame.refused is not None
                news = [Rejected(peer, kind or "", frame.refused or "")] if rejected else []
                return [*self._pump(now, (peer,)), *news]

    def tick(self, now: float) -> list[Output]:
        """Repeats what has gone unanswered for too long."""
        due = self._due.take_until(now)
        for peer in due:
            self._inboxes[peer].expire(now)
        return self._pump(now, due)

    def deadline(self, now: float) -> float | None:
        """Returns when `tick` is due."""
        if not self._up:
            return None
        pacers = (self._up_pacer, self._down_pacer)
        waits = [at for pacer in pacers if pacer and (at := pacer.ready_at(now)) > now]
        earliest = self._due.earliest()
        return min(waits if earliest is None else [earliest, *waits], default=None)

    @property
    def held_bytes(self) -> int:
        """Bytes of letters kept on either side, for the bound on memory."""
        kept = sum(outbox.held_bytes for outbox in self._outboxes.values())
        return kept + sum(inbox.held_bytes for inbox in self._inboxes.values())

    def counts(self) -> dict[str, int]:
        """Returns what was dropped so far, by reason."""
        total = dict(self.dropped)
        for inbox in self._inboxes.values():
            for reason, count in inbox.dropped.items():
                total[reason] = total.get(reason, 0) + count
        return total

    def _answer(
        self, peer: DeviceId, receipt: Receipt | None, arrival: Arrival | None, now: float
    ) -> list[Output]:
        # What follows from a letter comes last: it finds the windows as they then are.
        answered: list[Output] = [] if receipt is None else [Transmit(peer, receipt)]
        delivered = [] if arrival is None else [Deliver(peer, arrival.kind, arrival.body)]
        return [*answered, *self._pump(now, (peer,)), *delivered]

    def _pump(self, now: float, touched: tuple[DeviceId, ...]) -> list[Output]:
        if not self._up:
            return []
        self._now = now
        outputs: list[Output] = []
        for peer in touched:
            outputs += [Transmit(peer, offer) for offer in self._outboxes[peer].offers(now)]
            self._settle(peer)
            self._granting.wake(peer)
            self._sending.wake(peer)
        outputs += self._grants(now) + self._chunks(now)
        for peer in touched:
            self._note(peer)
        return outputs

    def _grants(self, now: float) -> list[Output]:
        granted: dict[tuple[DeviceId, int], list[Range]] = {}
        while self._down_pacer is None or self._down_pacer.ready_at(now) <= now:
            peer = self._granting.next(self._grant_cost, self._room_bytes())
            if peer is None:
                break
            transfer, (offset, length) = self._inboxes[peer].next_grant(now)
            granted.setdefault((peer, transfer), []).append((offset, length))
            self._caps.spend_to_us(peer, length, now)
            self._settle(peer)
            self._note(peer)
            if self._down_pacer:
                self._down_pacer.spend(length, now)
        return [
            Transmit(peer, Grant(self._sessions[peer], transfer, tuple(ranges)))
            for (peer, transfer), ranges in granted.items()
        ]

    def _chunks(self, now: float) -> list[Output]:
        outputs: list[Output] = []
        ahead_bytes = self._in_flight_bytes
        window_bytes = max(_LEAST_SEND_WINDOW_BYTES, self._taken.window_bytes // 2)
        while ahead_bytes < window_bytes and (
            self._up_pacer is None or (not outputs and self._up_pacer.ready_at(now) <= now)
        ):
            peer = self._sending.next(self._send_cost)
            if peer is None:
                break
            chunk = self._outboxes[peer].next_chunk(now)
            ahead_bytes += len(chunk.data)
            self._caps.spend_to_peer(peer, len(chunk.data), now)
            outputs.append(Transmit(peer, chunk))
            self._note(peer)
        return outputs

    def _grant_cost(self, peer: DeviceId) -> int | None:
        inbox = self._inboxes.get(peer)
        ready = self._caps.to_us_at(peer, self._now) <= self._now
        return inbox.grant_size() if inbox and ready else None

    def _send_cost(self, peer: DeviceId) -> int | None:
        outbox = self._outboxes.get(peer)
        ready = self._caps.to_peer_at(peer, self._now) <= self._now
        return outbox.chunk_size() if outbox and ready else None

    def _room_bytes(self) -> float:
        # One range may always be under way, however small the budget.
        return self._limits.budget_bytes - self._granted_bytes if self._granted_bytes else math.inf

    def _settle(self, peer: DeviceId) -> None:
        outstanding_bytes = self._inboxes[peer].outstanding_bytes
        self._granted_bytes += outstanding_bytes - self._granted.get(peer, 0)
        self._granted[peer] = outstanding_bytes

    def _note(self, peer: DeviceId) -> None:
        times = [self._outboxes[peer].deadline(), self._inboxes[peer].deadline()]
        times += self._caps.waits(peer, self._now)
        self._due.set(peer, min((at for at in times if at is not None), default=None))

    def _count(self, reasons: dict[str, int]) -> None:
        for reason, count in reasons.items():
            self.dropped[reason] = self.dropped.get(reason, 0) + count


def _pacer(rate: float | None) -> Pacer | None:
    return None if rate is None else Pacer(rate)
