"""The processes of a rehearsal: started together, watched, and ended whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from attrs import frozen

from runtime.errors import StorageError
from runtime.exits import Exit

_STOP_S = 10.0
_LOG_TAIL_BYTES = 2_000


@frozen
class Child:
    """One process; `log` is where its output goes, None if it shares our terminal."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path | None

    @property
    def code(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self.process.poll()

    @property
    def told(self) -> str:
        """How it ended, in words."""
        code = self.code or 0
        if code < 0:
            return f"signal {signal.Signals(-code).name}"
        known = {one.value: f" ({one.sentence})" for one in Exit}
        return f"exit code {code}{known.get(code, '')}"

    def tell(self, word: Mapping[str, Any]) -> bool:
        """Writes a line of JSON to its stdin, as `runtime.parent_watch` reads it.

        Returns False where nobody takes it.
        """
        assert self.process.stdin is not None
        try:
            os.write(self.process.stdin.fileno(), json.dumps(word).encode() + b"\n")
        except (OSError, ValueError):  # gone, or so busy that the pipe is full
            return False
        return True

    def log_tail(self) -> str:
        """Returns the end of what it wrote."""
        if self.log is None or not self.log.exists():
            return ""
        return self.log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace").strip()


class Crew:
    """A context that owns children. Leaving it ends them, in the order of their start.

    A child is in a session of its own, so that Ctrl-C reaches only us and the end is orderly. Its
    stdin is a pipe of ours, which closes when we are gone, however we went.
    """

    def __init__(self) -> None:
        self._children: list[Child] = []

    def start(
        self, name: str, command: Sequence[str], *, log: Path | None, threads: int = 1
    ) -> Child:
        """Starts a process with `threads` threads for its numerical libraries.

        Raises StorageError when it cannot be started.
        """
        self._forget_ended()
        try:
            process = _spawn(command, log, _environment(threads))
        except OSError as error:
            raise StorageError(f"{name}: {command[0]} cannot be run: {error.strerror}") from error
        assert process.stdin is not None
        os.set_blocking(process.stdin.fileno(), False)
        child = Child(name, process, log)
        self._children.append(child)
        return child

    def dismiss(self, child: Child) -> None:
        """Asks a child to end in order, without waiting for it."""
        if child.code is None:
            child.process.terminate()

    def kill(self, child: Child) -> None:
        """Ends a child at once, as a crash would."""
        child.process.kill()
        child.process.wait()

    def _forget_ended(self) -> None:
        """Lets go of what a long rehearsal would pile up: pipes, and the dead in the table."""
        for child in [one for one in self._children if one.code is not None]:
            _close_stdin(child.process)
            self._children.remove(child)

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A second Ctrl-C shall not leave anybody behind; the time to wait is bounded.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        for child in self._children:
            _end(child.process)


def _spawn(
    command: Sequence[str], log: Path | None, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    if log is None:
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, env=environment, start_new_session=True
        )
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )


def _environment(threads: int) -> dict[str, str]:
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {**os.environ, **dict.fromkeys(names, str(threads))}


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _close_stdin(process)


def _close_stdin(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
