"""The agent file: who this board is, where its broker is, what it may spend."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from attrs import field, frozen

from runtime.config_rules import Rejected, at_least, data_source, legal_id
from runtime.config_walk import FOLDER
from runtime.dataset import Augmentation
from runtime.emulation_spec import Emulation
from runtime.presence import Limits

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
    """[limits]: what the board refuses to exceed, in 1e6 bytes."""

    program_mb: int = field(default=64, validator=at_least(1))
    memory_mb: int = field(default=256, validator=at_least(1))
    transfer_mb: int = field(default=64, validator=at_least(1))

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
