"""What a machine is told: the party's events, beside those of the world that it passes on."""

from __future__ import annotations

from attrs import field

from runtime.events import Failed, Finished, Started, StopAsked, Tick
from runtime.ids import DeviceId
from runtime.letters import Letter
from runtime.link_meter import Reading
from runtime.presence import Presence
from runtime.value import value


@value
class Traffic:
    """Bytes exchanged with a peer so far: topics, payloads and what MQTT adds to each message.

    `link` is what the letter that came with this tells about the way it took.
    """

    sent_bytes: int = 0
    received_bytes: int = 0
    link: Reading = field(factory=Reading)


@value
class LinkUp:
    """Our own connection stands."""


@value
class LinkDown:
    """Our own connection is gone; it comes back by itself."""

    reason: str


@value
class Seen:
    """A presence was announced: a peer's, or somebody's under our own name."""

    presence: Presence


@value
class Received:
    """A letter came from a peer, whole and decoded."""

    peer: DeviceId
    letter: Letter
    traffic: Traffic = Traffic()


@value
class Unwelcome:
    """A peer will not take one of our letters."""

    peer: DeviceId
    letter: type[Letter]
    reason: str


@value
class Delivered:
    """A peer has our RoundResult, whole; of other letters nobody waits to hear it."""

    peer: DeviceId


@value
class Silent:
    """A peer was not heard for as long as its lease is; its session goes on."""

    peer: DeviceId


@value
class Heard:
    """A silent peer was heard again."""

    peer: DeviceId


MachineEvent = (
    Started
    | LinkUp
    | LinkDown
    | Seen
    | Received
    | Unwelcome
    | Delivered
    | Silent
    | Heard
    | Finished
    | Failed
    | Tick
    | StopAsked
)
