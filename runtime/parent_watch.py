"""Ends a process whose parent is gone, however it went."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

_POLL_S = 0.5
_GRACE_S = 5.0


def end_with_parent(ask_to_stop: Callable[[], None]) -> None:
    """Calls `ask_to_stop` once the parent is gone, and ends the process hard soon after.

    The parent's pid is watched, since an inherited pipe may be held open by a stranger.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL_S)
        ask_to_stop()
        time.sleep(_GRACE_S)
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
