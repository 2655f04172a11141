"""What one process of the benchmark is told."""

from __future__ import annotations

from attrs import frozen

from runtime.ids import COORDINATOR, DeviceId


@frozen
class Peer:
    """A device: its weight, its hard cap in bytes per second, and whether it is backlogged."""

    name: DeviceId
    weight: float = 1.0
    cap_bytes_per_s: float | None = None
    busy: bool = True


@frozen
class Part:
    """One party of a case. `way` is that of the letters: "up" goes to the coordinator.

    The coordinator ends `seconds` after the last busy peer has come in. The limits are those of
    this party's whole connection.
    """

    name: DeviceId
    way: str
    broker: str
    peers: tuple[Peer, ...]
    seconds: float
    sends_bytes_per_s: float | None = None
    takes_bytes_per_s: float | None = None

    @property
    def is_coordinator(self) -> bool:
        return self.name == COORDINATOR

    @property
    def busy(self) -> frozenset[DeviceId]:
        return frozenset(peer.name for peer in self.peers if peer.busy)

    @property
    def receivers(self) -> tuple[DeviceId, ...]:
        """Returns whom this party keeps supplied with letters."""
        if self.is_coordinator:
            return tuple(self.busy) if self.way == "down" else ()
        return (COORDINATOR,) if self.way == "up" and self.name in self.busy else ()
