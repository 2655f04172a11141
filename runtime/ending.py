"""How a process ends: by its party's word, by a signal, or by a defect."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable

from runtime.clock import WallClock
from runtime.effects import Halt
from runtime.exits import Exit

_log = logging.getLogger(__name__)


class Ending:
    """Stops the loop and remembers why. `halt` is set once the loop has returned."""

    def __init__(self, clock: WallClock) -> None:
        self._clock = clock
        self.halt = Halt(Exit.INTERNAL, "the loop ended without a reason")

    def __call__(self, halt: Halt) -> None:
        """Ends the process's loop with what a party said."""
        self.halt = halt
        self._clock.stop()

    def defect(self, error: BaseException) -> None:
        """Ends the process's loop for an exception that nobody expected."""
        _log.critical("a defect of EdgeSplit", exc_info=error)
        self(Halt(Exit.INTERNAL, f"a defect of EdgeSplit: {error!r}"))


def obey_signals(ask_to_stop: Callable[[], None]) -> None:
    """Lets SIGTERM and Ctrl-C ask for an orderly end. Only in the main thread."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ask_to_stop())
