"""What is done about devices that are not there, or late."""

from __future__ import annotations

import math
from typing import Any, Literal

from attrs import field, frozen
from attrs.validators import optional

from runtime.config_rules import Rejected, above

BACK_WITHIN_S = 20.0
"""So soon an agent is back from a broker that was away: it tries again every 15 s at least."""
_POSITIVE = optional(above(0))


def _quorum(_instance: Any, _attribute: Any, value: float) -> None:
    if value <= 0 or (value > 1 and value != int(value)):
        raise Rejected(
            f"{value} is no quorum", "write a whole number of devices, or a part below 1 of them"
        )


@frozen
class Policy:
    """[policy]: a round waits for devices that are lost, or drops them and goes on.

    `quorum` is a number of devices, or below 1 a part of the fleet file's. All times are in
    seconds; None is for ever.
    """

    lost: Literal["wait", "drop"] = "wait"
    quorum: float = field(default=1.0, validator=_quorum)
    wait_limit_s: float | None = field(default=None, validator=_POSITIVE)
    round_deadline_s: float | None = field(default=None, validator=_POSITIVE)
    gather_limit_s: float | None = field(default=None, validator=_POSITIVE)

    @property
    def drops(self) -> bool:
        """Tells whether rounds go on without lost devices."""
        return self.lost == "drop"

    @property
    def hurries(self) -> bool:
        """Tells whether there is anything to look at the clock for."""
        limits = (self.wait_limit_s, self.round_deadline_s, self.gather_limit_s)
        return self.drops or any(one is not None for one in limits)

    def gathers_for_s(self, is_resumed: bool) -> float | None:
        """Returns how long a run waits for the devices of its first round; None is for ever."""
        if self.gather_limit_s is None and self.drops and is_resumed:
            return BACK_WITHIN_S
        return self.gather_limit_s

    def least(self, devices: int) -> int:
        """Returns how many of `devices` are a quorum."""
        return math.ceil(self.quorum * devices) if self.quorum < 1 else int(self.quorum)
