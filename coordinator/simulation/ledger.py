"""Where the time of a round went, device by device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import asdict, define, field

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

    def clear(self) -> None:
        """Opens new accounts."""
        self._spent = {}

    def close_round(self, devices: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """Returns every device's entry of a round with its account, and opens new accounts.

        `link_s` is what is left of the device's time: its messages on their way, and waiting for
        the links.
        """
        spent, self._spent = self._spent, {}
        return {
            name: {**entry, **_account(spent.get(DeviceId(name), Spent()), entry["duration_s"])}
            for name, entry in devices.items()
        }


def _account(spent: Spent, duration_s: float) -> dict[str, float]:
    account = asdict(spent)
    return {**account, "link_s": max(0.0, duration_s - sum(account.values()))}
