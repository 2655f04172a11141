"""Somebody who does what a page says: writes its files, runs its commands, opens terminals."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType

from tests.docs.page import Block

_LONGEST_S = 45.0


class Newcomer:
    """Follows blocks in a folder, minding `cd`. What still runs at the end is killed.

    `replaced` changes the text of every block: what must differ from the page.
    """

    def __init__(self, folder: Path, replaced: tuple[str, str]) -> None:
        self.folder = folder
        self._log = folder / "terminals.log"
        self._where = folder / "where"
        self._replaced = replaced
        self._terminals: list[subprocess.Popen[str]] = []
        self._stack = ExitStack()

    def __enter__(self) -> Newcomer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def follow(self, block: Block) -> str:
        """Returns what a command printed; empty for a file or a terminal of its own."""
        text = block.text.replace(*self._replaced)
        if block.file:
            (self.folder / block.file).write_text(text)
        elif block.has_own_terminal:
            with self._log.open("a") as log:
                self._terminals.append(self._start(f"exec {text}", log.fileno()))
        else:
            return self._run(text)
        return ""

    def press_ctrl_c(self) -> list[int]:
        """Interrupts the terminals, the latest first, and returns their exit codes."""
        codes = []
        for terminal in reversed(self._terminals):
            terminal.send_signal(signal.SIGINT)
            codes.append(terminal.wait(_LONGEST_S))
        return codes

    def _run(self, text: str) -> str:
        command = self._start(f"{text}\npwd > {self._where}", subprocess.PIPE)
        printed, _ = command.communicate(timeout=_LONGEST_S)
        assert command.returncode == 0, f"{text}\n{printed}\nterminals:\n{self._heard()}"
        self.folder = Path(self._where.read_text().strip())
        return printed

    def _start(self, text: str, output: int) -> subprocess.Popen[str]:
        command = subprocess.Popen(
            ["bash", "-euc", text],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._stack.callback(_end, command)
        return command

    def _heard(self) -> str:
        return self._log.read_text() if self._log.exists() else ""


def _end(command: subprocess.Popen[str]) -> None:
    """Kills a command and all that it started: they share a session."""
    with suppress(ProcessLookupError):
        os.killpg(command.pid, signal.SIGKILL)
    command.wait()
    if command.stdout:
        command.stdout.close()
