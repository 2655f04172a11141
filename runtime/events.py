"""What the world tells a party, beside what its transport tells."""

from __future__ import annotations

from typing import Any

from runtime.exits import Exit
from runtime.transport.base import TransportEvent
from runtime.value import value


@value
class Started:
    """The first event of every process life."""


@value
class Tick:
    """A time that the party asked to be woken at has come (or passed)."""


@value
class Finished:
    """The worker has run a task."""

    task: Any
    result: Any


@value
class Failed:
    """The worker could not run a task; `reason` is a sentence for people."""

    task: Any
    reason: str
    code: Exit = Exit.INTERNAL
    """What the process ends with, should this be the end of it."""


@value
class StopAsked:
    """The operator asked this process to stop (SIGTERM, Ctrl-C)."""


WorldEvent = Started | Tick | Finished | Failed | StopAsked
HostEvent = TransportEvent | WorldEvent
