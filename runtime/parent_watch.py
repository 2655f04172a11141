"""Ends a process whose parent is gone, however it went."""

from __future__ import annotations

import os
import select
import stat
import threading
import time
from collections.abc import Callable

_POLL_S = 0.5
_GRACE_S = 5.0


def end_with_parent(ask_to_stop: Callable[[], None]) -> None:
    """Calls `ask_to_stop` once the parent is gone, and ends the process hard soon after.

    Both the parent's pid and, where stdin is a pipe, its end are watched: a pipe may be held open
    by a stranger that inherited it, and a parent may have gone before anybody asked for its pid.
    """
    parent = os.getppid()
    piped = stat.S_ISFIFO(os.fstat(0).st_mode)

    def watch() -> None:
        while os.getppid() == parent and not (piped and _ended(0)):
            time.sleep(_POLL_S)
        ask_to_stop()
        time.sleep(_GRACE_S)
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def _ended(pipe: int) -> bool:
    """Tells whether nobody holds the other end; such a pipe is never written to."""
    readable, _, _ = select.select([pipe], [], [], 0)
    return bool(readable) and os.read(pipe, 1) == b""
