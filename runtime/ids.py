"""Names of parties, and the one rule they obey."""

from __future__ import annotations

import re
from typing import NewType

DeviceId = NewType("DeviceId", str)

_LEGAL = re.compile(r"[a-z0-9-]{1,48}")

COORDINATOR = DeviceId("coordinator")
"""How the coordinator is addressed by an agent; no device may be called so."""


def is_legal_id(text: str) -> bool:
    """Tells whether `text` may name a fleet or a device: `[a-z0-9-]{1,48}`.

    The rule keeps every id a single MQTT topic level without wildcards, so that a broker's
    access list can pin a device to its branch.
    """
    return _LEGAL.fullmatch(text) is not None and text != COORDINATOR
