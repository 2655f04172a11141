"""Every topic EdgeSplit uses, in one table; nothing else formats a topic.

edgesplit/v1/<fleet>/coordinator/state
edgesplit/v1/<fleet>/devices/<device>/state
edgesplit/v1/<fleet>/devices/<device>/up/{offer,grant,chunk,receipt}      device -> coordinator
edgesplit/v1/<fleet>/devices/<device>/up/pulse                            device -> coordinator
edgesplit/v1/<fleet>/devices/<device>/down/{offer,grant,chunk,receipt}    coordinator -> device
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from attrs import frozen

from runtime.frames import Chunk, Grant, Offer, Pulse, Receipt
from runtime.ids import DeviceId, is_legal_id
from runtime.presence import CoordinatorPresence, DevicePresence

PREFIX = "edgesplit/v1"
INLINE_LIMIT_BYTES = 8 * 1024
"""A letter up to this size travels inside its offer, unasked."""
CHUNK_LIMIT_BYTES = 256 * 1024

_PLACES_REMEMBERED = 16 * 1024
"""Topics whose meaning is kept at hand: ten each of more than a thousand devices."""
_LONGEST = 160
"""Above the longest topic of ours, so that what is kept is bounded in bytes as well."""

Direction = Literal["up", "down"]
Payload = (
    type[DevicePresence]
    | type[CoordinatorPresence]
    | type[Offer]
    | type[Grant]
    | type[Chunk]
    | type[Receipt]
    | type[Pulse]
)


@frozen(eq=False)
class Topic:
    """What a topic is bound to, a row of the table: it is equal to itself alone.

    `expiry_s` lets a stale message die in the broker.
    """

    leaf: str
    direction: Direction
    payload: Payload
    limit_bytes: int
    qos: int = 1
    retain: bool = False
    expiry_s: int | None = 60


_ENVELOPE_BYTES = 512
COORDINATOR_STATE = Topic("state", "down", CoordinatorPresence, 4096, retain=True, expiry_s=None)
DEVICE_STATE = Topic("state", "up", DevicePresence, 4096, retain=True, expiry_s=None)


def _frames(direction: Direction) -> dict[str, Topic]:
    # What a device sends is the coordinator's to grant; a device has one peer, and takes ahead.
    inside_bytes = INLINE_LIMIT_BYTES if direction == "up" else CHUNK_LIMIT_BYTES
    rows = (
        Topic("offer", direction, Offer, inside_bytes + _ENVELOPE_BYTES),
        Topic("grant", direction, Grant, 4096),
        Topic("chunk", direction, Chunk, CHUNK_LIMIT_BYTES + _ENVELOPE_BYTES),
        Topic("receipt", direction, Receipt, 1024),
    )
    return {row.leaf: row for row in rows}


PULSE = Topic("pulse", "up", Pulse, 256, qos=0, expiry_s=5)
"""A late one would say that somebody is here who is not. The coordinator's is its presence."""
FRAMES: dict[Direction, dict[str, Topic]] = {
    "up": {**_frames("up"), PULSE.leaf: PULSE},
    "down": _frames("down"),
}


@frozen
class Fleet:
    """The topics of one fleet."""

    name: str

    def coordinator_state(self) -> str:
        return f"{PREFIX}/{self.name}/coordinator/state"

    def device_state(self, device: DeviceId) -> str:
        return f"{PREFIX}/{self.name}/devices/{device}/state"

    def frame(self, row: Topic, device: DeviceId) -> str:
        return f"{PREFIX}/{self.name}/devices/{device}/{row.direction}/{row.leaf}"

    def for_coordinator(self) -> tuple[str, ...]:
        """Returns the filters that a coordinator subscribes to."""
        devices = f"{PREFIX}/{self.name}/devices/+"
        return (self.coordinator_state(), f"{devices}/state", f"{devices}/up/#")

    def for_device(self, device: DeviceId) -> tuple[str, ...]:
        """Returns the filters that the agent of `device` subscribes to."""
        branch = f"{PREFIX}/{self.name}/devices/{device}"
        return (self.coordinator_state(), f"{branch}/state", f"{branch}/down/#")

    def parse(self, topic: str) -> Place | None:
        """Returns the row of `topic` and the device it names, or None for a foreign topic."""
        return _place(self.name, topic) if len(topic) <= _LONGEST else None


Place = tuple[Topic, DeviceId | None]


@lru_cache(maxsize=_PLACES_REMEMBERED)
def _place(fleet: str, topic: str) -> Place | None:
    prefix = f"{PREFIX}/{fleet}/"
    if not topic.startswith(prefix):
        return None
    match topic.removeprefix(prefix).split("/"):
        case ["coordinator", "state"]:
            return COORDINATOR_STATE, None
        case ["devices", device, "state"] if is_legal_id(device):
            return DEVICE_STATE, DeviceId(device)
        case ["devices", device, ("up" | "down") as way, leaf] if is_legal_id(device):
            row = FRAMES[way].get(leaf)
            return (row, DeviceId(device)) if row else None
    return None
