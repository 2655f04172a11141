"""Who is there: the retained JSON announcements that any MQTT tool can read.

A party publishes its *birth* at every connection and leaves a *will* that says it was lost.
Both carry the incarnation, so that a late word of an earlier life is told from the present one.
"""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from runtime.ids import DeviceId

PROTOCOL_MINOR = 1
"""Rises with every addition to the v1 protocol (1: probes); the topic prefix carries the major
version."""

Status = Literal["online", "lost", "left", "finished"]


@frozen
class Limits:
    """What a device accepts from the network."""

    transfer_bytes: int
    program_bytes: int
    memory_bytes: int


@frozen
class DevicePresence:
    """A device's birth (`online`), will (`lost`) or farewell (`left`)."""

    device: DeviceId
    incarnation: int
    status: Status
    protocol: int = PROTOCOL_MINOR
    samples: int = 0
    onnxruntime: str = ""
    opset: int = 0
    codecs: tuple[str, ...] = ()
    optimisers: tuple[str, ...] = ()
    limits: Limits | None = None
    role: Literal["device"] = "device"
    """Keeps one kind of announcement from being read as the other."""


@frozen
class CoordinatorPresence:
    """The coordinator's birth, will or farewell."""

    incarnation: int
    status: Status
    run: str = ""
    protocol: int = PROTOCOL_MINOR
    role: Literal["coordinator"] = "coordinator"


Presence = DevicePresence | CoordinatorPresence
