"""The counter that rises with every start of a process."""

from __future__ import annotations

import time
from pathlib import Path

from runtime.atomic_file import write_atomically
from runtime.errors import StorageError


def next_incarnation(folder: Path) -> int:
    """Returns a number above every earlier one of this folder, and keeps it there.

    It is at least the time in seconds, so that a board whose storage was wiped, or a coordinator
    on another host, still counts as the later start. Raises StorageError.
    """
    path = folder / "incarnation"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        last = int(path.read_text()) if path.exists() else 0
    except (OSError, ValueError) as error:
        raise StorageError(f"{path} cannot be read: {error}; remove it to start anew") from error
    incarnation = max(last + 1, int(time.time()))
    write_atomically(path, str(incarnation).encode())
    return incarnation
