"""What a courier wants done: frames to be sent, and news of letters."""

from __future__ import annotations

from runtime.frames import Frame
from runtime.ids import DeviceId
from runtime.value import value


@value
class Transmit:
    """Put this frame on the wire towards `peer`."""

    peer: DeviceId
    frame: Frame


@value
class Deliver:
    """A whole letter came from `peer`."""

    peer: DeviceId
    kind: str
    body: bytes


@value
class Rejected:
    """`peer` will not take a letter of this kind."""

    peer: DeviceId
    kind: str
    reason: str


@value
class Confirmed:
    """`peer` has a letter of this kind, whole."""

    peer: DeviceId
    kind: str


Output = Transmit | Deliver | Rejected | Confirmed
