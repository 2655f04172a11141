"""Hard caps for single peers: the static shares of the paper, and limits that operators set."""

from __future__ import annotations

from attrs import define, field

from runtime.ids import DeviceId
from runtime.transfers.pacer import Pacer


@define
class Caps:
    """A token bucket for each direction of each peer that has one. Times are in seconds."""

    _to_us: dict[DeviceId, Pacer] = field(factory=dict)
    _to_peer: dict[DeviceId, Pacer] = field(factory=dict)

    def set(self, peer: DeviceId, to_us: float | None, to_peer: float | None) -> None:
        """Sets or lifts the caps of `peer`, in bytes per second."""
        for pacers, rate in ((self._to_us, to_us), (self._to_peer, to_peer)):
            pacers.pop(peer, None)
            if rate is not None:
                pacers[peer] = Pacer(rate)

    def spend_to_us(self, peer: DeviceId, size_bytes: int, now: float) -> None:
        _spend(self._to_us.get(peer), size_bytes, now)

    def spend_to_peer(self, peer: DeviceId, size_bytes: int, now: float) -> None:
        _spend(self._to_peer.get(peer), size_bytes, now)

    def to_us_at(self, peer: DeviceId, now: float) -> float:
        """Returns when `peer` may be asked for more."""
        return _ready_at(self._to_us.get(peer), now)

    def to_peer_at(self, peer: DeviceId, now: float) -> float:
        """Returns when more may be sent to `peer`."""
        return _ready_at(self._to_peer.get(peer), now)

    def waits(self, peer: DeviceId, now: float) -> list[float]:
        """Returns the times to come at which a cap lets `peer` go on."""
        if peer not in self._to_us and peer not in self._to_peer:
            return []
        times = (self.to_us_at(peer, now), self.to_peer_at(peer, now))
        return [at for at in times if at > now]


def _spend(pacer: Pacer | None, size_bytes: int, now: float) -> None:
    if pacer is not None:
        pacer.spend(size_bytes, now)


def _ready_at(pacer: Pacer | None, now: float) -> float:
    return now if pacer is None else pacer.ready_at(now)
