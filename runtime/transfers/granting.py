"""What peers are asked for: who is next, how much of what, and when."""

from __future__ import annotations

from collections.abc import Mapping

from runtime.frames import Grant, Range
from runtime.ids import DeviceId
from runtime.transfers.arbiter import Arbiter
from runtime.transfers.caps import Caps
from runtime.transfers.credit import Credit
from runtime.transfers.deadlines import Deadlines
from runtime.transfers.exchange import Exchange
from runtime.transfers.inbox import STALL_S
from runtime.transfers.outputs import Transmit
from runtime.transfers.pacer import Pacer

_RANGES_TOLD = 256
"""In one grant: of the longest, twice as many would still be within the limit of its topic."""


class Granting:
    """Hands out credit to all peers of a connection, out of one budget."""

    def __init__(
        self,
        sessions: Mapping[DeviceId, Exchange],
        caps: Caps,
        due: Deadlines,
        budget_bytes: int,
        bytes_per_s: float | None,
    ) -> None:
        """`bytes_per_s` is a hard cap on what all of them are asked for together."""
        self._sessions = sessions
        self._caps = caps
        self._due = due
        self._now = 0.0
        self.arbiter = Arbiter(self._cost)
        self.credit = Credit(self.arbiter, budget_bytes, bytes_per_s)
        self.pacer = None if bytes_per_s is None else Pacer(bytes_per_s)

    def came_unasked(self, size_bytes: int, now: float) -> None:
        """Counts bytes that came inside an offer."""
        if self.pacer:
            self.pacer.spend(size_bytes, now)

    def wake(self, peer: DeviceId, now: float) -> None:
        """Says that `peer` may have more to send than before."""
        self._now = now
        self.arbiter.wake(peer)

    def share(self, woken: DeviceId | None, now: float) -> list[Transmit]:
        """Asks for as much as there is room for; `woken` may have more to send than before."""
        self._now = now
        granted: dict[tuple[DeviceId, int], list[Range]] = {}
        while self.pacer is None or self.pacer.ready_at(now) <= now:
            turn = self.arbiter.next(self.credit.room_bytes, woken)
            if turn is None:
                break
            woken, length = turn
            transfer, offset = self._ask(woken, length, now)
            granted.setdefault((woken, transfer), []).append((offset, length))
        else:
            if woken is not None:
                self.arbiter.wake(woken)
        return self._told(granted) if granted else []

    def _ask(self, peer: DeviceId, length: int, now: float) -> tuple[int, int]:
        """Returns from which transfer, and from what offset on."""
        exchange = self._sessions[peer]
        asked = exchange.inbox.grant(length, now)
        self.credit.charge(exchange.account, exchange.inbox, now)
        self._due.look(peer, now + STALL_S)
        self._caps.spend_to_us(peer, length, now)
        self._caps.hold(peer, exchange, now)
        if self.pacer:
            self.pacer.spend(length, now)
        return asked

    def _told(self, granted: Mapping[tuple[DeviceId, int], list[Range]]) -> list[Transmit]:
        return [
            self._grant(peer, transfer, tuple(ranges[first : first + _RANGES_TOLD]))
            for (peer, transfer), ranges in granted.items()
            for first in range(0, len(ranges), _RANGES_TOLD)
        ]

    def _grant(self, peer: DeviceId, transfer: int, ranges: tuple[Range, ...]) -> Transmit:
        exchange = self._sessions[peer]
        return Transmit(peer, Grant(exchange.session, transfer, ranges, exchange.inbox.ahead_bytes))

    def _cost(self, peer: DeviceId) -> int | None:
        exchange = self._sessions.get(peer)
        if exchange is None or not exchange.inbox.wants_more:
            return None
        if peer in self._caps.peers and self._caps.to_us_at(peer, self._now) > self._now:
            return None
        return exchange.inbox.grant_size(self.credit.part(peer, exchange.account))
