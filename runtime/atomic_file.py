"""Writing a file so that a power cut leaves the old one or the new one, never a part."""

from __future__ import annotations

import os
from pathlib import Path

from runtime.errors import StorageError


def write_atomically(path: Path, data: bytes) -> None:
    """Replaces `path` by `data`, through a temporary file beside it. Raises StorageError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        remove_orphans(path.parent, path.name)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error


def remove_orphans(folder: Path, name: str | None = None) -> None:
    """Removes temporary files, or those of `name`, whose writers were killed. Raises OSError."""
    for path in folder.glob(".*"):
        of, _, writer = path.name[1:].rpartition(".")
        if name in (None, of) and writer.isdecimal() and not _lives(int(writer)):
            path.unlink(missing_ok=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # somebody else's, or no number of a process
        return True
    return True
