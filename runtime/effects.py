"""What a party asks of the world. The world answers with events; nothing else passes between."""

from __future__ import annotations

from typing import Any

from runtime.exits import Exit
from runtime.value import value


@value
class Publish:
    """Put a payload on a topic."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    expiry_s: int | None


@value
class Submit:
    """Hand a task to the compute worker; `Finished` or `Failed` will answer, exactly once."""

    task: Any


@value
class Record:
    """Append an entry to one stream of the run record, durably, before the next effect."""

    stream: str
    entry: dict[str, Any]


@value
class Wake:
    """Deliver a `Tick` at this time (seconds of the party's clock)."""

    at_s: float


@value
class Halt:
    """This party is done: close everything in an orderly way and end with `code`."""

    code: Exit
    reason: str


Effect = Publish | Submit | Record | Wake | Halt
