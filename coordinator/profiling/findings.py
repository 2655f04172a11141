"""What probes found, as the events of a run tell it: a coordinator that resumes goes by them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import attrs
from attrs import frozen

from runtime.effects import Record
from runtime.errors import WireError
from runtime.ids import DeviceId
from runtime.wire import from_builtin


@frozen
class Finding:
    """Something that a probe of a device at a cut told, and in which of its lives."""

    event: ClassVar[str]
    device: DeviceId
    incarnation: int
    cut: str

    def record(self) -> Record:
        """Returns the effect that puts the finding on record."""
        return Record("events", {"event": self.event, **attrs.asdict(self)})


@frozen
class ProbeServed(Finding):
    """The server has done its part of a probe, and took `server_s` for it."""

    event = "probe served"
    server_s: float


@frozen
class Measured(Finding):
    """The device's part of a step, and what is known of its link: bytes/s and s, 0 for nothing."""

    event = "measured"
    forward_s: float
    backward_s: float
    uplink_bytes_per_s: float
    downlink_bytes_per_s: float
    round_trip_s: float


@frozen
class ProbeFailed(Finding):
    """The device, or the compiler, cannot do the cut, or no answer came."""

    event = "probe failed"
    reason: str


_KINDS: Mapping[str, type[Finding]] = {
    kind.event: kind for kind in (ProbeServed, Measured, ProbeFailed)
}


def findings(events: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Returns what was found, in order; an entry that earlier versions wrote tells nothing."""
    found = []
    for entry in events:
        kind = _KINDS.get(entry.get("event", ""))
        try:
            found += [from_builtin(kind, entry)] if kind else []
        except WireError:
            continue
    return found
