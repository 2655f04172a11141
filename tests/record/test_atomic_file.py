"""What a process leaves that is killed while it writes a file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from device_agent.program_cache import ProgramCache
from runtime.atomic_file import write_atomically
from runtime.presence import Limits

KILLED = """
import os, signal
from pathlib import Path
from runtime import atomic_file

atomic_file.os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
atomic_file.write_atomically(Path("{path}"), b"new")
"""


def _die_writing(path: Path) -> None:
    died = subprocess.run([sys.executable, "-c", KILLED.format(path=path)], check=False)
    assert died.returncode == -9


def test_the_next_writer_tidies_up(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    write_atomically(path, b"old")
    _die_writing(path)
    assert len(list(tmp_path.iterdir())) == 2
    assert path.read_bytes() == b"old"
    write_atomically(path, b"newer")
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"newer"


def test_nothing_else_is_touched(tmp_path: Path) -> None:
    living = tmp_path / f".checkpoint.{os.getppid()}"
    others = [living, tmp_path / ".checkpoint.backup", tmp_path / ".notes.1", tmp_path / ".7"]
    for path in others:
        path.write_bytes(b"mine")
    _die_writing(tmp_path / "another")
    write_atomically(tmp_path / "checkpoint", b"data")
    left = {path.name.rstrip("0123456789") for path in tmp_path.iterdir()}
    assert {path.name.rstrip("0123456789") for path in others} < left
    assert ".another." in left


def test_a_program_that_was_never_whole_is_forgotten(tmp_path: Path) -> None:
    digest = "ab" * 32
    _die_writing(tmp_path / digest)
    assert list(tmp_path.iterdir()) != []
    assert not ProgramCache(tmp_path, Limits(1, 1, 1)).holds(digest)
    assert list(tmp_path.iterdir()) == []
