"""`edgesplit rehearse` in a process of its own, and what it starts."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from coordinator.record.run_record import read_lines
from tests.commands.jobs import FLEET, write_job

PATIENCE_S = 90.0


def family(folder: Path) -> list[psutil.Process]:
    """Every process whose command line names the folder: all that was ever started in it."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        named = any(str(folder) in word for word in process.info["cmdline"] or ())
        if named and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


class Rehearsal:
    """`edgesplit rehearse` in a process of its own, with everything below one folder.

    The job is the tiny one, with a fleet file of that text, or lies `at` a path.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        fleet: str = FLEET,
        at: Path | None = None,
    ) -> None:
        self.folder = folder
        path = at or write_job(folder, fleet=fleet)
        command = [sys.executable, "-m", "coordinator.main", "rehearse", str(path)]
        place = () if "--resume" in options else ("--runs", str(folder / "runs"))
        with (folder / "output").open("wb") as output:
            self.process = subprocess.Popen(
                [*command, *place, *options],
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def latest(self) -> Path:
        return self.folder / "runs" / "latest"

    def output(self) -> str:
        return (self.folder / "output").read_text()

    def family(self) -> list[psutil.Process]:
        return family(self.folder)

    def agent(self, device: str) -> psutil.Process:
        (found,) = [
            process
            for process in self.family()
            if any(word.endswith(f"{device}/agent.toml") for word in process.cmdline())
        ]
        return found

    def coordinator(self) -> psutil.Process:
        (found,) = [one for one in self.family() if one.cmdline()[4:5] == ["coordinator"]]
        return found

    def broker(self) -> psutil.Process:
        (found,) = [one for one in self.family() if "supervisor.py" in " ".join(one.cmdline())]
        return found

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The events of a kind that are on record."""
        path = self.latest / "events.jsonl"
        return [one for one in read_lines(path) if one["event"] == kind]

    def wait_for_event(self, kind: str, **facts: Any) -> None:
        self.wait_until(lambda: any(facts.items() <= one.items() for one in self.events(kind)))

    def wait(self) -> int:
        return self.process.wait(PATIENCE_S)

    def wait_for_a_round(self) -> None:
        rounds = self.latest / "rounds.jsonl"
        self.wait_until(lambda: rounds.exists() and rounds.stat().st_size > 0)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline_s, self.output()
            time.sleep(0.05)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Rehearsal]]:
    """Starts a rehearsal; whatever a failing test leaves is killed."""
    started = []

    def begin(*options: str, **source: Any) -> Rehearsal:
        started.append(Rehearsal(tmp_path, *options, **source))
        return started[-1]

    yield begin
    for rehearsal in started:
        for process in rehearsal.family():
            process.kill()
        rehearsal.process.wait()
