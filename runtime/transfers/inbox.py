"""The receiving side of one peer: what is granted, what has come, what is missing."""

from __future__ import annotations

import hashlib
import zlib

from attrs import define, field

from runtime.frames import Chunk, Offer, Receipt, Session
from runtime.topics import CHUNK_LIMIT_BYTES, INLINE_LIMIT_BYTES
from runtime.transfers.link_rate import LEAST_CHUNK_BYTES, LinkRate
from runtime.transfers.patience import backed_off_s
from runtime.value import value

TRANSFERS_AT_ONCE = 8
"""Transfers per peer that may be open; an offer beyond is left unanswered and comes again."""
_IDS_AHEAD = 4096
"""How far ids may run ahead of the oldest letter still missing; bounds what is remembered."""
STALL_S = 1.0
"""What is outstanding does not count as lost before."""
_LONGEST_STALL_S = 15.0


@value
class Arrival:
    """A whole letter, checked against its digest."""

    kind: str
    body: bytes


@value
class Part:
    """A peer's part of what all peers together may have on its way."""

    window_bytes: int
    range_bytes: int
    """How much to ask for at a time, at most."""


@define
class _Incoming:
    offer: Offer
    chunks: dict[int, bytes] = field(factory=dict)
    received_bytes: int = 0
    frontier: int = 0
    """Where the never-granted rest begins."""
    missing: dict[int, int] = field(factory=dict)
    """Granted once, and to be granted again: length by offset."""
    outstanding: dict[int, int] = field(factory=dict)
    """Granted and awaited: length by offset."""


class Inbox:
    """Takes letters once each, in whatever pieces and order they come.

    `dropped` counts by reason what was thrown away.
    """

    # A thousand peers are looked at in turn: what lies together is found in one place.
    __slots__ = (
        "_declared_bytes",
        "_done_beyond",
        "_done_up_to",
        "_limit_bytes",
        "_open",
        "_progress_at",
        "_session",
        "_stalls",
        "_takes_ahead",
        "dropped",
        "is_silent",
        "outstanding_bytes",
        "rate",
    )

    def __init__(
        self,
        session: Session,
        limit_bytes: int,
        rate: LinkRate | None = None,
        *,
        takes_ahead: bool = False,
    ) -> None:
        self.rate = rate or LinkRate()
        self._takes_ahead = takes_ahead
        self.dropped: dict[str, int] = {}
        self._session = session
        self._limit_bytes = limit_bytes
        self._open: dict[int, _Incoming] = {}
        self._declared_bytes = 0
        self._done_up_to = 0
        self._done_beyond: set[int] = set()
        self._progress_at = 0.0
        self._stalls = 0
        self.outstanding_bytes = 0
        """Bytes granted and awaited."""
        self.is_silent = False
        """Whether something was awaited in vain, and nothing has come since."""

    @property
    def is_open(self) -> bool:
        """Tells whether letters are on their way in ranges."""
        return bool(self._open)

    @property
    def wants_more(self) -> bool:
        """Tells whether something of them was not granted, or has to be granted again."""
        return bool(self._open) and self._first_ungranted() is not None

    @property
    def held_bytes(self) -> int:
        """Bytes of letters that are not whole yet."""
        return sum(incoming.received_bytes for incoming in self._open.values())

    def offered(self, offer: Offer, now: float) -> tuple[Receipt | None, Arrival | None]:
        """Answers an offer: at once if the letter is small, known or unwanted."""
        if not 0 < offer.id <= self._done_up_to + _IDS_AHEAD:
            self._drop("transfer id out of bounds")
            return None, None
        if not 0 <= offer.size <= self._limit_bytes:
            return self._refuse(offer), None
        if self._is_done(offer.id):
            return Receipt(self._session, offer.id), None
        if offer.size <= INLINE_LIMIT_BYTES or (self._takes_ahead and offer.body is not None):
            return self._take_inline(offer)
        self._open_transfer(offer, now)
        return None, None

    def arrived(self, chunk: Chunk, now: float) -> tuple[Receipt | None, Arrival | None]:
        """Takes a chunk; answers when it was the last one missing."""
        incoming = self._open.get(chunk.id)
        if incoming is None:
            self._drop("chunk of no open transfer")
            return (Receipt(self._session, chunk.id) if self._is_done(chunk.id) else None), None
        if not self._accept(incoming, chunk):
            return None, None
        self._progress_at, self._stalls, self.is_silent = now, 0, False
        self.rate.arrived(len(chunk.data), now, outstanding=self.outstanding_bytes > 0)
        if incoming.received_bytes < incoming.offer.size:
            return None, None
        return self._complete(incoming)

    @property
    def ahead_bytes(self) -> int:
        """How large a letter may be that comes unasked."""
        return self.rate.ahead_bytes if self._takes_ahead else 0

    def grant_size(self, part: Part | None = None) -> int | None:
        """Returns how many bytes to ask for next, or None when there is no room for them.

        No more may be on its way than fills the peer's own link, nor than its part of what all
        peers together may have there; but one range always may, and no more of somebody silent.
        """
        incoming = self._first_ungranted()
        if incoming is None or (self.is_silent and self.outstanding_bytes):
            return None
        length = self._next_bytes(incoming)
        window_bytes = self.rate.window_bytes
        if part is not None and part.window_bytes < window_bytes and not incoming.missing:
            length = min(length, part.range_bytes)
            window_bytes = part.window_bytes
            # Filled to the byte: two ranges in a window for two and a half are a fifth too little.
            room_bytes = window_bytes - self.outstanding_bytes
            left_bytes = incoming.offer.size - incoming.frontier
            if length / 2 <= room_bytes < 1.5 * length:
                length = min(room_bytes, left_bytes, CHUNK_LIMIT_BYTES)
        has_room = self.outstanding_bytes + length <= window_bytes
        return length if has_room or not self.outstanding_bytes else None

    def grant(self, length: int, now: float) -> tuple[int, int]:
        """Asks for as many bytes as `grant_size` said; returns the transfer's id and the offset."""
        incoming = self._first_ungranted()
        assert incoming is not None
        offset = next(iter(incoming.missing), incoming.frontier)
        if incoming.missing.pop(offset, None) is None:
            incoming.frontier += length
        if not self.outstanding_bytes:
            self._progress_at = now
        self.rate.busy(now)
        incoming.outstanding[offset] = length
        self.outstanding_bytes += length
        return incoming.offer.id, offset

    def deadline(self) -> float | None:
        """Returns when what is outstanding counts as lost."""
        if not self.outstanding_bytes:
            return None
        expected_s = 4 * self.outstanding_bytes / (self.rate.bytes_per_s or self.outstanding_bytes)
        patience_s = backed_off_s(max(STALL_S, expected_s), self._stalls, _LONGEST_STALL_S)
        return self._progress_at + patience_s

    def expire(self, now: float) -> None:
        """Counts what is outstanding as lost when its time has come."""
        deadline = self.deadline()
        if deadline is not None and deadline <= now:
            self._stalls += 1
            self.rate.stalled()
            self.resume()

    def resume(self) -> None:
        """Asks again for everything outstanding."""
        for incoming in self._open.values():
            self._give_up_waiting(incoming)

    def _give_up_waiting(self, incoming: _Incoming) -> None:
        self.is_silent = self.is_silent or bool(incoming.outstanding)
        self.outstanding_bytes -= sum(incoming.outstanding.values())
        incoming.missing.update(incoming.outstanding)
        incoming.outstanding.clear()
        if not self.outstanding_bytes:
            self.rate.idle()

    def _refuse(self, offer: Offer) -> Receipt:
        self._drop("too large")
        self._finish(offer.id)
        reason = f"{offer.size} bytes are more than the limit of {self._limit_bytes}"
        return Receipt(self._session, offer.id, reason)

    def _is_done(self, id: int) -> bool:
        return id <= self._done_up_to or id in self._done_beyond

    def _forget(self, id: int) -> None:
        incoming = self._open.pop(id, None)
        if incoming is not None:
            if incoming.outstanding:
                self._give_up_waiting(incoming)
            self._declared_bytes -= incoming.offer.size

    def _finish(self, id: int) -> None:
        self._forget(id)
        if self._is_done(id):
            return
        self._done_beyond.add(id)
        while self._done_up_to + 1 in self._done_beyond:
            self._done_up_to += 1
            self._done_beyond.remove(self._done_up_to)

    def _take_inline(self, offer: Offer) -> tuple[Receipt | None, Arrival | None]:
        body = offer.body
        if body is None or len(body) != offer.size or _digest(body) != offer.digest:
            self._drop("corrupt offer")
            return None, None
        self._finish(offer.id)
        return Receipt(self._session, offer.id), Arrival(offer.kind, body)

    def _open_transfer(self, offer: Offer, now: float) -> None:
        known = self._open.get(offer.id)
        # A repeated offer carries another receipt or none, and is the same offer.
        if known is not None and known.offer.carrying(None) != offer.carrying(None):
            self._drop("contradicting offer")
            self._forget(offer.id)
            known = None
        if known is None:
            self._begin(offer)
        elif now - self._progress_at > STALL_S / 4:
            # The sender has started over (it came back, or our grants were lost).
            self._give_up_waiting(known)

    def _begin(self, offer: Offer) -> None:
        """Opens a transfer, unless all that is open would then outgrow the limit of a letter."""
        fits = self._declared_bytes + offer.size <= self._limit_bytes
        if len(self._open) < TRANSFERS_AT_ONCE and fits:
            self._open[offer.id] = _Incoming(offer)
            self._declared_bytes += offer.size

    def _accept(self, incoming: _Incoming, chunk: Chunk) -> bool:
        wanted = incoming.outstanding.get(chunk.offset, incoming.missing.get(chunk.offset))
        if wanted is None or wanted != len(chunk.data):
            return self._drop("chunk not asked for")
        if zlib.crc32(chunk.data) != chunk.crc:
            return self._drop("corrupt chunk")
        self.outstanding_bytes -= incoming.outstanding.pop(chunk.offset, 0)
        incoming.missing.pop(chunk.offset, None)
        incoming.chunks[chunk.offset] = chunk.data
        incoming.received_bytes += wanted
        return True

    def _complete(self, incoming: _Incoming) -> tuple[Receipt | None, Arrival | None]:
        offer = incoming.offer
        body = b"".join([incoming.chunks[offset] for offset in sorted(incoming.chunks)])
        if _digest(body) != offer.digest:
            # The sender offers it again; asking again right now would be a circle at full speed.
            self._drop("corrupt letter")
            self._forget(offer.id)
            return None, None
        self._finish(offer.id)
        return Receipt(self._session, offer.id), Arrival(offer.kind, body)

    def _first_ungranted(self) -> _Incoming | None:
        for incoming in self._open.values():
            if incoming.missing or incoming.frontier < incoming.offer.size:
                return incoming
        return None

    def _next_bytes(self, incoming: _Incoming) -> int:
        if incoming.missing:
            return next(iter(incoming.missing.values()))
        offer = incoming.offer
        wanted_bytes = self.rate.chunk_bytes
        if offer.piece is not None:
            wanted_bytes = min(wanted_bytes, max(LEAST_CHUNK_BYTES, offer.piece))
        return min(wanted_bytes, offer.size - incoming.frontier)

    def _drop(self, reason: str) -> bool:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
        return False


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()
