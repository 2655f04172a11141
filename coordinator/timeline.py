"""[[timeline]] of the fleet file: what happens to devices and processes while a run goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from attrs import field, frozen
from attrs.validators import optional

from runtime.config_rules import above, at_least, legal_id
from runtime.config_walk import Fault
from runtime.ids import COORDINATOR

Act = Literal["join", "leave", "kill", "throttle", "slow", "cut", "restore"]

BROKER = "(broker)"
"""The broker among the parties of a trial; no device can have this name."""


@frozen
class Incident:
    """One entry: what is done to a device or a process, when, and for how long.

    It begins `at_s` after the run did, or when `round` opens, and is undone after `for_s`, or when
    as many rounds as `for_rounds` have opened since; with neither it lasts until it is restored.
    A link is throttled to rates in 1e6 bits a second or to one of `times`-th of its own; a slow
    board takes `times` as long for its steps.
    """

    do: Act
    device: str | None = field(default=None, validator=optional(legal_id))
    process: Literal["coordinator", "broker"] | None = None
    at_s: float | None = field(default=None, validator=optional(at_least(0)))
    round: int | None = field(default=None, validator=optional(at_least(1)))
    for_s: float | None = field(default=None, validator=optional(above(0)))
    for_rounds: int | None = field(default=None, validator=optional(at_least(1)))
    uplink_mbps: float | None = field(default=None, validator=optional(above(0)))
    downlink_mbps: float | None = field(default=None, validator=optional(above(0)))
    times: float | None = field(default=None, validator=optional(above(0)))

    @property
    def party(self) -> str:
        """Whom it happens to: a device's id, COORDINATOR or BROKER."""
        if self.process is not None:
            return COORDINATOR if self.process == "coordinator" else BROKER
        assert self.device is not None
        return self.device

    @property
    def lasts(self) -> bool:
        """Tells whether nothing but a `restore` ends it."""
        return self.for_s is None and self.for_rounds is None

    def faults(self) -> Iterator[Fault]:
        """Yields what is missing, given twice, or has nothing to do."""
        yield from _one_of(self, "device", "process")
        yield from _one_of(self, "at_s", "round")
        if self.for_s is not None and self.for_rounds is not None:
            yield Fault("for_rounds", "for_s already says when it is over", "keep one of them")
        yield from self._idle_keys()
        if self.process is not None:
            yield from self._process_faults(self.process)

    def _idle_keys(self) -> Iterator[Fault]:
        rates = self.uplink_mbps is not None or self.downlink_mbps is not None
        if self.do == "throttle" and rates == (self.times is not None):
            fix = "write uplink_mbps, downlink_mbps or both, or else times"
            yield Fault("times", "a throttled link has either rates or times", fix)
        if self.do == "slow" and self.times is None:
            yield Fault("times", "it is missing", "add by how many times the board is slower")
        if self.do != "throttle" and rates:
            key = "downlink_mbps" if self.uplink_mbps is None else "uplink_mbps"
            yield Fault(key, f"{self.do} has no rates", "remove it, or write do = 'throttle'")
        if self.do not in ("throttle", "slow") and self.times is not None:
            yield Fault("times", f"{self.do} has none", "remove it")
        if self.do == "restore" and not self.lasts:
            key = "for_rounds" if self.for_s is None else "for_s"
            yield Fault(key, "what is restored stays so", "remove it")

    def _process_faults(self, process: str) -> Iterator[Fault]:
        if self.do != "kill":
            yield Fault("do", f"the {process} can only be killed", "write 'kill'")
        elif self.for_s is None:
            fix = "add for_s, the seconds until it is started again"
            yield Fault("for_s", f"without its {process} the run cannot go on", fix)


def _one_of(incident: Incident, one: str, other: str) -> Iterator[Fault]:
    given = [key for key in (one, other) if getattr(incident, key) is not None]
    if not given:
        yield Fault(one, "it is missing", f"add {one} or {other}")
    elif len(given) == 2:
        yield Fault(other, f"{one} is given too", "keep one of them")
