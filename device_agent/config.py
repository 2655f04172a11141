"""The agent file: who this board is, where its broker is, what it may spend."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from attrs import field, frozen
from attrs.validators import optional

from runtime.config_rules import Rejected, above, at_least, data_source, legal_id
from runtime.config_walk import FOLDER
from runtime.dataset import Augmentation
from runtime.emulation_spec import Emulation
from runtime.presence import Limits
from runtime.transfers.courier import CourierLimits

_BROKER = re.compile(r"mqtts?://[^/].*|unix:///.+")
_MEGABYTE_BYTES = 1_000_000


def _broker_url(_instance: Any, _attribute: Any, value: str) -> None:
    """Looks at the scheme alone: the rest may hold a password, and its files come later."""
    if not _BROKER.fullmatch(value):
        raise Rejected(
            "it is no broker's address",
            "write 'mqtt://host:port', 'mqtts://host:port' or 'unix:///path'",
        )


@frozen
class Identity:
    """[agent]: the board's name, its broker, its folder and its share of the processor."""

    device: str = field(validator=legal_id)
    fleet: str = field(validator=legal_id)
    broker: str = field(validator=_broker_url)
    state_dir: Path
    threads: int = field(default=1, validator=at_least(1))
    keepalive_s: int = field(default=10, validator=at_least(1))
    leave_within_s: float = field(default=30.0, validator=at_least(0))


@frozen
class Data:
    """[data]: the board's own samples, and how light augmentation varies them."""

    source: str = field(validator=data_source)
    augment: tuple[Augmentation, ...] = ()


@frozen
class Ceilings:
    """[limits]: what the board refuses to exceed, in 1e6 bytes, and 1e6 bits a second."""

    program_mb: int = field(default=64, validator=at_least(1))
    memory_mb: int = field(default=256, validator=at_least(1))
    transfer_mb: int = field(default=64, validator=at_least(1))
    uplink_mbps: float | None = field(default=None, validator=optional(above(0)))
    downlink_mbps: float | None = field(default=None, validator=optional(above(0)))

    @property
    def courier(self) -> CourierLimits:
        """What the board's courier keeps to.

        A board has one peer, so that it lets it send ahead; not where that would outrun a limit.
        """
        return CourierLimits(
            letter_bytes=self.announced.transfer_bytes,
            takes_ahead=self.downlink_mbps is None,
            uplink_bytes_per_s=_bytes_per_s(self.uplink_mbps),
            downlink_bytes_per_s=_bytes_per_s(self.downlink_mbps),
        )

    @property
    def announced(self) -> Limits:
        """The same in bytes, as the board's birth tells them."""
        return Limits(
            transfer_bytes=self.transfer_mb * _MEGABYTE_BYTES,
            program_bytes=self.program_mb * _MEGABYTE_BYTES,
            memory_bytes=self.memory_mb * _MEGABYTE_BYTES,
        )


@frozen
class AgentConfig:
    """A whole agent file. Relative paths in it start at `base`, the folder it lies in."""

    agent: Identity
    data: Data
    limits: Ceilings = field(factory=Ceilings)
    emulate: Emulation = field(factory=Emulation)
    base: Path = field(factory=Path, metadata=FOLDER)


def _bytes_per_s(mbps: float | None) -> float | None:
    return None if mbps is None else mbps * _MEGABYTE_BYTES / 8
