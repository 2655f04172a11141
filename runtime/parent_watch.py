"""Ends a process whose parent is gone, however it went, and hears what the parent has to say."""

from __future__ import annotations

import json
import logging
import os
import select
import stat
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

_log = logging.getLogger(__name__)
_POLL_S = 0.5
_GRACE_S = 5.0
_READ_BYTES = 65_536
_LONGEST_LINE_BYTES = 65_536

Hear = Callable[[dict[str, Any]], None]


def end_with_parent(ask_to_stop: Callable[[], None], hear: Hear | None = None) -> None:
    """Calls `ask_to_stop` once the parent is gone, and ends the process hard soon after.

    Both the parent's pid and, where stdin is a pipe, its end are watched: a pipe may be held open
    by a stranger that inherited it, and a parent may have gone before anybody asked for its pid.
    What the parent writes to the pipe, a JSON object on each line, is passed to `hear` in a thread
    of ours; other lines are dropped.
    """
    parent = os.getppid()
    piped = stat.S_ISFIFO(os.fstat(0).st_mode)
    words = Words()

    def watch() -> None:
        while os.getppid() == parent:
            if not piped:
                time.sleep(_POLL_S)
                continue
            data = _read(0)
            if data == b"":
                break
            for word in words.after(data or b""):
                if hear is not None:
                    hear(word)
        ask_to_stop()
        time.sleep(_GRACE_S)
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


class Words:
    """Cuts a stream of bytes into lines, and takes those that are JSON objects."""

    def __init__(self) -> None:
        self._rest = b""

    def after(self, data: bytes) -> Iterator[dict[str, Any]]:
        """Yields what is complete after some more bytes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE_BYTES:
            self._rest = b""
        for line in lines:
            try:
                word = json.loads(line)
            except ValueError:
                word = None
            if isinstance(word, dict):
                yield word
            else:
                _log.warning("the parent says %.80r", line)


def _read(pipe: int) -> bytes | None:
    """Returns what was written, nothing at the end of the pipe, None if there is nothing yet."""
    readable, _, _ = select.select([pipe], [], [], _POLL_S)
    return os.read(pipe, _READ_BYTES) if readable else None
