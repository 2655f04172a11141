"""What goes to peers next: whose chunk, and how much is handed to the transport at a time."""

from __future__ import annotations

from collections.abc import Mapping

from runtime.frames import Offer
from runtime.ids import DeviceId
from runtime.transfers.arbiter import Arbiter
from runtime.transfers.caps import Caps
from runtime.transfers.exchange import Exchange
from runtime.transfers.outputs import Transmit
from runtime.transfers.pacer import Pacer
from runtime.transfers.send_window import SendWindow


class Sending:
    """Divides what a connection takes among all peers, and keeps what waits in it short."""

    def __init__(
        self, sessions: Mapping[DeviceId, Exchange], caps: Caps, bytes_per_s: float | None
    ) -> None:
        """`bytes_per_s` is a hard cap on what this party sends."""
        self._sessions = sessions
        self._caps = caps
        self._now = 0.0
        self.arbiter = Arbiter(self._cost)
        self.window = SendWindow(bytes_per_s)
        self.pacer = None if bytes_per_s is None else Pacer(bytes_per_s)
        self._paid_bytes = 0
        """Of chunks on their way to the transport."""

    def handed(self, size_bytes: int, now: float, *, is_acknowledged: bool) -> None:
        """Counts bytes that were handed to the transport."""
        self.window.handed(size_bytes, now, is_acknowledged=is_acknowledged)
        if self.pacer:
            paid_bytes = min(size_bytes, self._paid_bytes)
            self._paid_bytes -= paid_bytes
            self.pacer.spend(size_bytes - paid_bytes, now)

    def offer(self, peer: DeviceId, offer: Offer) -> Transmit:
        """Sends an offer, with the receipt that waited for it."""
        owed = self._sessions[peer].pay()
        return Transmit(peer, offer.carrying(owed.id) if owed else offer)

    def wake(self, peer: DeviceId, now: float) -> None:
        """Says that `peer` may have more to get than before."""
        self._now = now
        self.arbiter.wake(peer)

    def share(self, woken: DeviceId | None, now: float) -> list[Transmit]:
        """Sends as much as there is room for; `woken` may have more to get than before."""
        self._now = now
        sent: list[Transmit] = []
        ahead_bytes, window_bytes = self.window.in_flight_bytes, self.window.size_bytes
        while ahead_bytes < window_bytes and (
            self.pacer is None or self.pacer.ready_at(now) <= now
        ):
            turn = self.arbiter.next(woken=woken)
            if turn is None:
                break
            woken, size_bytes = turn
            ahead_bytes += size_bytes
            sent.append(self._send(woken, size_bytes, now))
        else:
            if woken is not None:
                self.arbiter.wake(woken)
        return sent

    def _send(self, peer: DeviceId, size_bytes: int, now: float) -> Transmit:
        if self.pacer:
            self.pacer.spend(size_bytes, now)
            self._paid_bytes += size_bytes
        exchange = self._sessions[peer]
        self._caps.spend_to_peer(peer, size_bytes, now)
        self._caps.hold(peer, exchange, now)
        bulk = exchange.outbox.next_bulk(now)
        return self.offer(peer, bulk) if isinstance(bulk, Offer) else Transmit(peer, bulk)

    def _cost(self, peer: DeviceId) -> int | None:
        exchange = self._sessions.get(peer)
        if exchange is None:
            return None
        if peer in self._caps.peers and self._caps.to_peer_at(peer, self._now) > self._now:
            return None
        return exchange.outbox.bulk_bytes()
