"""What a machine asks for: of the party, and through it of the world."""

from __future__ import annotations

from runtime.effects import Halt, Record, Submit, Wake
from runtime.frames import Session
from runtime.ids import DeviceId
from runtime.letters import Letter
from runtime.presence import Presence
from runtime.value import value


@value
class Send:
    """Carry this letter to `peer`, however long it takes, within the session."""

    peer: DeviceId
    letter: Letter


@value
class OpenSession:
    """From now on talk to this life of `peer`; all that was under way is void.

    A peer that `pulses` is watched: it is told of when it falls silent.
    """

    peer: DeviceId
    session: Session
    pulses: bool = True


@value
class CloseSession:
    """`peer` is gone for good: let go of all that was under way."""

    peer: DeviceId


@value
class Weigh:
    """Give `peer` this weight in the sharing of bandwidth: of what it sends, and is sent."""

    peer: DeviceId
    weight: float
    weight_down: float


@value
class Cap:
    """Hold `peer` to these bytes per second up (towards us) and down, or to none."""

    peer: DeviceId
    up_bytes_per_s: float | None
    down_bytes_per_s: float | None


@value
class Announce:
    """Publish our presence, now and at every connection to come."""

    presence: Presence


@value
class Drop:
    """Count something from `peer` that was thrown away; the first of its kind goes on record."""

    peer: DeviceId
    reason: str


MachineEffect = (
    Send
    | OpenSession
    | CloseSession
    | Weigh
    | Cap
    | Announce
    | Drop
    | Submit
    | Record
    | Wake
    | Halt
)
