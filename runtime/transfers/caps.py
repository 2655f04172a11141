"""Hard caps for single peers: the static shares of the paper, and limits that operators set."""

from __future__ import annotations

from attrs import define, field

from runtime.ids import DeviceId
from runtime.transfers.deadlines import Deadlines
from runtime.transfers.exchange import Exchange
from runtime.transfers.pacer import BURST_S, Pacer


@define
class Caps:
    """A token bucket for each direction of each peer that has one. Times are in seconds."""

    due: Deadlines
    burst_to_peer_s: float = BURST_S
    """What a bucket saves up for the time that a message waits for the turn of others."""
    peers: set[DeviceId] = field(factory=set)
    """Who has a cap in one direction at least."""
    _to_us: dict[DeviceId, Pacer] = field(factory=dict)
    _to_peer: dict[DeviceId, Pacer] = field(factory=dict)

    def set(self, peer: DeviceId, to_us: float | None, to_peer: float | None) -> None:
        """Sets or lifts the caps of `peer`, in bytes per second."""
        self._to_us.pop(peer, None)
        self._to_peer.pop(peer, None)
        if to_us is not None:
            self._to_us[peer] = Pacer(to_us)
        if to_peer is not None:
            self._to_peer[peer] = Pacer(to_peer, self.burst_to_peer_s)
        (self.peers.discard if to_us is None and to_peer is None else self.peers.add)(peer)

    def spend_to_us(self, peer: DeviceId, size_bytes: int, now: float) -> None:
        if peer in self._to_us:
            self._to_us[peer].spend(size_bytes, now)

    def spend_to_peer(self, peer: DeviceId, size_bytes: int, now: float) -> None:
        if peer in self._to_peer:
            self._to_peer[peer].spend(size_bytes, now)

    def to_us_at(self, peer: DeviceId, now: float) -> float:
        """Returns when `peer` may be asked for more."""
        return self._to_us[peer].ready_at(now) if peer in self._to_us else now

    def to_peer_at(self, peer: DeviceId, now: float) -> float:
        """Returns when more may be sent to `peer`."""
        return self._to_peer[peer].ready_at(now) if peer in self._to_peer else now

    def hold(self, peer: DeviceId, exchange: Exchange, now: float) -> None:
        """Sees to it that `peer` is looked at when a cap lets it go on."""
        if peer in self.peers or exchange.held_until_s is not None:
            times = (self.to_us_at(peer, now), self.to_peer_at(peer, now))
            waits_s = [at_s for at_s in times if at_s > now]
            exchange.held_until_s = min(waits_s, default=None)
            for wait_s in waits_s:
                self.due.look(peer, wait_s)
