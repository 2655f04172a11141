"""Where the time of a round went, device by device."""

from __future__ import annotations

from typing import Any

from attrs import define, field

from runtime.ids import DeviceId


@define
class Spent:
    """Seconds of one device's round: its own compute, the server's for it, the server's queue."""

    compute_s: float = 0.0
    server_s: float = 0.0
    queue_s: float = 0.0


@define
class Ledger:
    """Books what executors model, and lays it beside what the coordinator records."""

    _spent: dict[DeviceId, Spent] = field(factory=dict)

    def of(self, device: DeviceId) -> Spent:
        """Returns the device's account of the round in hand."""
        return self._spent.setdefault(device, Spent())

    def close_round(self, devices: dict[str, dict[str, Any]]) -> None:
        """Adds its account to every device's entry of a round and opens new ones.

        `link_s` is what is left of the device's time: its messages on their way, and waiting for
        the links.
        """
        for name, entry in devices.items():
            spent = self.of(DeviceId(name))
            worked_s = spent.compute_s + spent.server_s + spent.queue_s
            entry["compute_s"] = spent.compute_s
            entry["server_s"] = spent.server_s
            entry["queue_s"] = spent.queue_s
            entry["link_s"] = max(0.0, entry["duration_s"] - worked_s)
        self._spent.clear()
