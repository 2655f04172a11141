"""Who is there: the retained JSON announcements that any MQTT tool can read.

A party publishes its *birth* at every connection and leaves a *will* that says it was lost.
Both carry the incarnation, so that a late word of an earlier life is told from the present one.
"""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen, validators

from runtime.ids import DeviceId

PROTOCOL_MINOR = 2
"""Rises with every addition to the v1 protocol (1: probes; 2: pulses, `leaving`); the topic prefix
carries the major version."""
PULSING_MINOR = 2
"""From this minor version on, a party that falls silent is gone."""

Status = Literal["online", "lost", "left", "finished"]
# JSON has integers of any size. Ours travel on in msgpack, which has none beyond 64 bits, and
# planners reckon with them.
_count = validators.and_(validators.ge(0), validators.lt(2**53))


@frozen
class Limits:
    """What a device accepts from the network."""

    transfer_bytes: int = field(validator=_count)
    program_bytes: int = field(validator=_count)
    memory_bytes: int = field(validator=_count)


@frozen
class DevicePresence:
    """A device's birth (`online`), will (`lost`) or farewell (`left`)."""

    device: DeviceId
    incarnation: int = field(validator=_count)
    status: Status
    protocol: int = field(default=PROTOCOL_MINOR, validator=_count)
    samples: int = field(default=0, validator=_count)
    onnxruntime: str = ""
    opset: int = field(default=0, validator=_count)
    codecs: tuple[str, ...] = ()
    optimisers: tuple[str, ...] = ()
    limits: Limits | None = None
    leaving: bool = False
    """It brings its round home, if it has one, and takes its leave."""
    role: Literal["device"] = "device"
    """Keeps one kind of announcement from being read as the other."""


@frozen
class CoordinatorPresence:
    """The coordinator's birth, will or farewell."""

    incarnation: int = field(validator=_count)
    status: Status
    run: str = ""
    protocol: int = field(default=PROTOCOL_MINOR, validator=_count)
    role: Literal["coordinator"] = "coordinator"


Presence = DevicePresence | CoordinatorPresence
