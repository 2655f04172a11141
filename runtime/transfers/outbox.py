"""The sending side of one peer: letters that wait, are offered, granted and receipted."""

from __future__ import annotations

import hashlib
import math
import zlib
from collections import deque
from collections.abc import Container

from attrs import define, field

from runtime.frames import Chunk, Grant, Offer, Range, Receipt, Session
from runtime.topics import CHUNK_LIMIT_BYTES, INLINE_LIMIT_BYTES
from runtime.transfers.patience import backed_off_s

OFFERS_IN_FLIGHT = 4
"""Letters per peer that may be offered at once: so many small ones, and so many large ones, so
that a small letter never waits behind bulk. Bounds what a crowd can pile up in the broker."""
_RANGES_KEPT = 4096
"""Ranges of a letter that may wait to be sent; an honest peer has far fewer outstanding."""
_WAITING_BYTES = 64 * 1024 * 1024
_LEAST_WAITING = 8
"""What may wait to be offered, of small letters and of large ones: so many bytes, or letters. An
honest peer lets hardly any wait."""
_RETRY_S = 1.0
_ANSWER_S = 3.0
"""Until a letter is offered again that was all in its offer, where the receipt waits for an answer
to ride on: longer than it waits. It is for what a broker drops; reconnecting needs no timer."""
_CONFIRM_S = 20.0
"""Once everything is sent, what was lost is for the receiver to ask for."""
_LONGEST_RETRY_S = 8.0


@define
class _Outgoing:
    id: int
    kind: str
    body: bytes
    digest: bytes
    inline: bool
    retry_at: float = 0.0
    tries: int = 0
    offered_at_s: float = -math.inf
    ahead: bool = False
    """Waits for its turn to travel inside its offer."""
    wanted: dict[Range, None] = field(factory=dict)
    """Granted and not sent yet: a set in order of arrival."""


class Outbox:
    """Keeps each letter until the peer has receipted it, and offers it again until then.

    A letter kept here is the bounded cache of answers: a peer that lost its copy gets it again.
    """

    __slots__ = (
        "_ahead_bytes",
        "_answered",
        "_large",
        "_next_id",
        "_offered",
        "_piece_bytes",
        "_retry_at",
        "_session",
        "_small",
        "_unheard",
    )

    def __init__(
        self,
        session: Session,
        piece_bytes: int = CHUNK_LIMIT_BYTES,
        answered: Container[str] = (),
    ) -> None:
        """`piece_bytes` is what others who share our link can wait behind.

        Letters of a kind in `answered` are confirmed by what answers them.
        """
        self._session = session
        self._piece_bytes = piece_bytes
        self._answered = answered
        self._next_id = 1
        self._small: deque[_Outgoing] = deque()
        self._large: deque[_Outgoing] = deque()
        self._offered: dict[int, _Outgoing] = {}
        self._unheard = 0
        """Repeated offers since the peer was last heard."""
        self._retry_at = 0.0
        self._ahead_bytes = 0
        """Letters up to this size need not be asked for."""

    @property
    def held_bytes(self) -> int:
        """Bytes of all letters kept for the peer."""
        return sum(len(o.body) for o in (*self._small, *self._large, *self._offered.values()))

    def post(self, kind: str, body: bytes) -> bool:
        """Takes a letter, and tells whether it did.

        Not behind too many others of its sort: a peer may ask for much and confirm nothing.
        """
        inline = len(body) <= INLINE_LIMIT_BYTES
        queue = self._small if inline else self._large
        if len(queue) >= _LEAST_WAITING:
            waiting_bytes = sum(len(waiting.body) for waiting in queue)
            if waiting_bytes + len(body) > _WAITING_BYTES:
                return False
        digest = hashlib.sha256(body).digest()
        queue.append(_Outgoing(self._next_id, kind, body, digest, inline))
        self._next_id += 1
        return True

    def offers(self, now: float) -> list[Offer]:
        """Returns the offers that are due, first ones and repeated ones."""
        if self._small or self._large:
            self._fill(now)
        elif not self._offered:
            return []
        due = [o for o in self._offered.values() if o.retry_at <= now]
        if not due:
            return []
        again = [o for o in due if o.tries > 0]
        if not again:
            return [self._offer(o, now) for o in due]
        if self._unheard:
            # Into silence only one offer is repeated: a crowd that waits for a stalled peer must
            # not fill the broker's queue.
            again = again[:1] if now >= self._retry_at else []
        if again:
            self._ahead_bytes = 0
            self._unheard += 1
            self._retry_at = now + backed_off_s(_RETRY_S, self._unheard, _LONGEST_RETRY_S)
        return [self._offer(o, now) for o in due if o.tries == 0 or o in again]

    def deadline(self) -> float | None:
        """Returns when `offers` has something to say again, if the peer stays silent."""
        if not self._offered:
            return None
        earliest = min([o.retry_at for o in self._offered.values()])
        return max(earliest, self._retry_at) if self._unheard else earliest

    def granted(self, grant: Grant, now: float) -> None:
        """Queues the ranges that the peer asked for, once each."""
        self._ahead_bytes = min(grant.ahead, self._piece_bytes)
        outgoing = self._offered.get(grant.id)
        if outgoing is None:
            return
        self._unheard = 0
        outgoing.tries = 1
        self._postpone(outgoing, now)
        for offset, length in grant.ranges:
            inside = offset >= 0 and offset + length <= len(outgoing.body)
            if inside and 0 < length <= CHUNK_LIMIT_BYTES and len(outgoing.wanted) < _RANGES_KEPT:
                outgoing.wanted[offset, length] = None

    def receipted(self, receipt: Receipt) -> str | None:
        """Forgets a letter; returns its kind if it was still kept."""
        self._unheard = 0
        outgoing = self._offered.pop(receipt.id, None)
        return outgoing.kind if outgoing else None

    def bulk_bytes(self) -> int | None:
        """Returns the size of what is wanted next, or None when nothing is."""
        outgoing = self._first_wanted()
        if outgoing is None:
            return None
        return len(outgoing.body) if outgoing.ahead else next(iter(outgoing.wanted))[1]

    def next_bulk(self, now: float) -> Chunk | Offer:
        """Returns the next wanted chunk or letter; only when `bulk_bytes` is not None."""
        outgoing = self._first_wanted()
        assert outgoing is not None
        if outgoing.ahead:
            return self._offer(outgoing, now, outgoing.body)
        offset, length = next(iter(outgoing.wanted))
        del outgoing.wanted[offset, length]
        data = outgoing.body[offset : offset + length]
        self._postpone(outgoing, now)
        if offset + length == len(outgoing.body):
            outgoing.retry_at = max(outgoing.retry_at, now + _CONFIRM_S)
        return Chunk(self._session, outgoing.id, offset, zlib.crc32(data), data)

    def hurry(self, now: float) -> None:
        """Puts nothing off any longer than at first: the peer was away, and is back."""
        self._unheard = 0
        for outgoing in self._offered.values():
            if outgoing.tries and not outgoing.wanted:
                soon_s = max(now, outgoing.offered_at_s + _RETRY_S)
                outgoing.retry_at = min(outgoing.retry_at, soon_s)

    def resume(self) -> None:
        """Starts over after an interruption: everything unreceipted is offered again at once."""
        for outgoing in self._offered.values():
            outgoing.wanted.clear()
            outgoing.retry_at, outgoing.tries, outgoing.ahead = 0.0, 0, False
        self._unheard = 0

    def _fill(self, now: float) -> None:
        small = sum([outgoing.inline for outgoing in self._offered.values()])
        for backlog, offered in ((self._small, small), (self._large, len(self._offered) - small)):
            while backlog and offered < OFFERS_IN_FLIGHT:
                outgoing = backlog.popleft()
                offered += 1
                self._offered[outgoing.id] = outgoing
                if not outgoing.inline and len(outgoing.body) <= self._ahead_bytes:
                    # Where its turn is long in coming, it is offered like any other meanwhile.
                    outgoing.ahead = True
                    self._postpone(outgoing, now)

    def _first_wanted(self) -> _Outgoing | None:
        for outgoing in self._offered.values():
            if outgoing.wanted or outgoing.ahead:
                return outgoing
        return None

    def _offer(self, outgoing: _Outgoing, now: float, ahead: bytes | None = None) -> Offer:
        outgoing.tries += 1
        outgoing.offered_at_s = now
        outgoing.ahead = False
        body = outgoing.body if outgoing.inline else ahead
        is_whole = body is not None and outgoing.kind in self._answered
        self._postpone(outgoing, now, _ANSWER_S if is_whole else _RETRY_S)
        return Offer(
            self._session,
            outgoing.id,
            outgoing.kind,
            len(outgoing.body),
            outgoing.digest,
            body,
            piece=None if outgoing.inline else self._piece_bytes,
        )

    @staticmethod
    def _postpone(outgoing: _Outgoing, now: float, first_s: float = _RETRY_S) -> None:
        outgoing.retry_at = now + backed_off_s(
            first_s, max(0, outgoing.tries - 1), _LONGEST_RETRY_S
        )
