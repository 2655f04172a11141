"""How much peers may have on its way to us: all of them together, and each as its part of that.

Who has more than others in the queue of a link gets more through it. Where the rate of the link
is told, next to nothing waits there: all together get credit for a quarter of a second, and the
arbiter says who is next. Where it is not told, what waits divides by weight, beyond what fills each
peer's own link (as in TCP Vegas and FAST TCP: Wei et al., IEEE/ACM Transactions on Networking,
2006); windows that go by what each has reached would let whoever has more keep it.
"""

from __future__ import annotations

import math

from runtime.ids import DeviceId
from runtime.topics import CHUNK_LIMIT_BYTES
from runtime.transfers.account import Account
from runtime.transfers.arbiter import Arbiter
from runtime.transfers.inbox import Inbox, Part
from runtime.transfers.trip import Trip

_TOLD_S = 0.25
"""How much of a link whose rate is told all peers together may have on its way. Each of them may
have half a second of its own rate; all of that would wait in the link, first come first served."""
_QUEUED_S = 0.14
"""How much of all peers waits in a link whose rate is not told. Of more, some would wait on the
devices, which hand no more than `send_window` says to their transports; there no weights count."""
_RANGES = 4
"""In which what may wait is asked for, at least: while one comes and the next is asked for, there
must be another. They fill a part, or a peer would have up to half a range less than that."""
_COME = 1 / 16
"""Of a window, for who has the whole link. An eighth of it, half a range, has come on average
of the range that is coming, and waits no more. Where a link carries message by message nothing has
to be made up for that; measured over brokers, half of it."""
_LEAST_QUEUED_BYTES = 32 * 1024
_LEAST_PART_BYTES = 2 * 1024
_MOST_RANGE_BYTES = CHUNK_LIMIT_BYTES * 2 // 3
"""A range takes what is left of a window with it, up to half of its size more."""


class Credit:
    """What is granted and has not come, and how much more may be granted."""

    def __init__(
        self, weights: Arbiter, most_bytes: int, told_bytes_per_s: float | None = None
    ) -> None:
        """`most_bytes` are on their way at most, of a link whose rate perhaps is told."""
        told = told_bytes_per_s
        self._most_bytes = most_bytes if told is None else min(most_bytes, told * _TOLD_S)
        self._is_told = told is not None
        self._weights = weights
        self.granted_bytes = 0
        """Bytes that were granted and have not come."""
        self._answering_bytes = 0
        self._open_peers = 0
        self._open_weight = 0.0
        self._open_bytes_per_s = 0.0
        self._shortest_s: float | None = None
        """The shortest trip of all peers: a peer may never have been alone."""

    @property
    def room_bytes(self) -> float:
        """How many bytes may be granted now; one range always may, however small the budget."""
        return self._most_bytes - self.granted_bytes if self.granted_bytes else math.inf

    def part(self, peer: DeviceId, account: Account) -> Part | None:
        """Returns a peer's part where others send too and nobody told the rate, else None."""
        rate = account.rate.bytes_per_s
        if rate is None or self._open_peers - bool(account.open_weight) < 1:
            return None
        weight = self._weights.weight(peer)
        queued_bytes = max(_LEAST_QUEUED_BYTES, self._open_bytes_per_s * _QUEUED_S)
        share = weight / max(weight, self._open_weight)
        waits_bytes = queued_bytes * share
        flies_bytes = rate * self._trip_s(account.trip)
        window_bytes = int((waits_bytes + flies_bytes) * (1 + _COME * share))
        window_bytes = max(_LEAST_PART_BYTES, window_bytes)
        at_most_bytes = max(_LEAST_PART_BYTES, min(_MOST_RANGE_BYTES, waits_bytes / _RANGES))
        return Part(window_bytes, window_bytes // math.ceil(window_bytes / at_most_bytes))

    def settle(self, peer: DeviceId, account: Account, inbox: Inbox, now: float) -> None:
        """Counts what is on its way from a peer by now, and whether it has more to send."""
        is_open = inbox.is_open
        if not (is_open or account.granted_bytes or account.open_weight):
            return  # As after most letters, which come whole in their offers.
        self.charge(account, inbox, now)
        if is_open and not inbox.is_silent and not self._is_told:
            self._open(account, self._weights.weight(peer), account.rate.bytes_per_s or 0.0)
        elif account.open_weight:
            self._open(account, 0.0, 0.0)

    def charge(self, account: Account, inbox: Inbox, now: float) -> None:
        """Counts what is on its way from a peer by now."""
        outstanding_bytes = inbox.outstanding_bytes
        self.granted_bytes += outstanding_bytes - account.granted_bytes
        account.granted_bytes = outstanding_bytes
        expected_bytes = 0 if inbox.is_silent else outstanding_bytes
        if expected_bytes != account.answering_bytes and not self._is_told:
            self._expect(account, inbox, expected_bytes, now)

    def forget(self, account: Account) -> None:
        """Counts nothing any more of a peer that has gone."""
        self.granted_bytes -= account.granted_bytes
        self._answering_bytes -= account.answering_bytes
        self._open(account, 0.0, 0.0)

    def reset(self) -> None:
        """Starts over with a new connection, perhaps on another way."""
        self._shortest_s = None

    def _expect(self, account: Account, inbox: Inbox, expected_bytes: int, now: float) -> None:
        """Measures a peer that answers; of one that does not, nothing says how fast it is."""
        more_bytes = expected_bytes - account.answering_bytes
        if more_bytes > 0:
            if not self._answering_bytes:
                account.trip.left(now)
            account.rate.busy(now)
        elif inbox.is_silent:
            account.trip = Trip()
            account.rate.idle()
        else:
            account.rate.arrived(-more_bytes, now, outstanding=expected_bytes > 0)
            self._trip_ended(account.trip, now)
        account.answering_bytes = expected_bytes
        self._answering_bytes += more_bytes

    def _trip_s(self, trip: Trip) -> float:
        """Returns how long the way of a peer is: as that of others, unless it is much longer.

        Who took the time of a range on the link, or a queue, for a part of the way would get more
        of the queue than others.
        """
        own_s = (trip.shortest_s or 0.0) - _QUEUED_S / 2
        return max(own_s, self._shortest_s or 0.0)

    def _trip_ended(self, trip: Trip, now: float) -> None:
        trip.ended(now)
        shortest_s = trip.shortest_s
        if shortest_s is not None and shortest_s < (self._shortest_s or math.inf):
            self._shortest_s = shortest_s

    def _open(self, account: Account, weight: float, bytes_per_s: float) -> None:
        if account.open_weight == weight and account.open_bytes_per_s == bytes_per_s:
            return
        self._open_peers += bool(weight) - bool(account.open_weight)
        self._open_weight += weight - account.open_weight
        self._open_bytes_per_s += bytes_per_s - account.open_bytes_per_s
        account.open_weight, account.open_bytes_per_s = weight, bytes_per_s
