"""What every process holds and every folder keeps, looked at again and again."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import psutil
from attrs import define, frozen

STAGE, COORDINATOR, BROKER, ZOMBIE, OTHER = "stage", "coordinator", "broker", "zombie", "other"


@frozen
class Sample:
    """One look at one process."""

    at_s: float
    name: str
    pid: int
    rss_bytes: int
    threads: int
    descriptors: int


@frozen
class Kept:
    """One look at a folder or file: what it and all below it occupy."""

    at_s: float
    name: str
    bytes: int
    files: int


@define
class Watcher:
    """Looks at this process, all that it started, and a run's folder."""

    run: Path
    scratch: Path
    notes: Path
    """Gets a line of JSON for each look: in memory they would be the leak that is looked for."""

    def look(self, at_s: float) -> None:
        """Notes one sample of everything."""
        us = psutil.Process()
        seen = [*_samples(at_s, us, STAGE)]
        for child in us.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                seen += _samples(at_s, child, None)
        kept = [_kept(at_s, name, path) for name, path in self._places()]
        rows = [[attrs.astuple(one) for one in seen], [attrs.astuple(one) for one in kept]]
        with self.notes.open("a") as file:
            file.write(json.dumps(rows) + "\n")

    def samples(self) -> list[Sample]:
        """Returns what was noted of processes, in order."""
        return [Sample(*row) for seen, _ in self._noted() for row in seen]

    def kept(self) -> list[Kept]:
        """Returns what was noted of the disk, in order."""
        return [Kept(*row) for _, kept in self._noted() for row in kept]

    def _noted(self) -> Iterator[list[list[Any]]]:
        with self.notes.open() as file:
            yield from map(json.loads, file)

    def _places(self) -> Iterator[tuple[str, Path]]:
        yield "scratch", self.scratch
        for path in sorted(self.run.iterdir()):
            if path.name not in ("agents", "data"):
                yield path.name, path
        for path in sorted((self.run / "agents").iterdir()):
            yield (path.name, path) if path.is_file() else (f"{path.name}/state", path / "state")


def _samples(at_s: float, process: psutil.Process, name: str | None) -> Iterator[Sample]:
    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied), process.oneshot():
        if process.status() == psutil.STATUS_ZOMBIE:
            yield Sample(at_s, ZOMBIE, process.pid, 0, 0, 0)
            return
        yield Sample(
            at_s,
            name or _named(process.cmdline()),
            process.pid,
            process.memory_info().rss,
            process.num_threads(),
            process.num_fds(),
        )


def _named(words: list[str]) -> str:
    """Names a process by its command line; mosquitto has a supervisor, and both are the broker."""
    for word in words:
        path = Path(word)
        if path.name == "agent.toml":
            return path.parent.name
        if path.name in ("supervisor.py", "mosquitto"):
            return BROKER
    return COORDINATOR if "coordinator.main" in words else OTHER


def _kept(at_s: float, name: str, path: Path) -> Kept:
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    total = 0
    for one in files:
        with contextlib.suppress(FileNotFoundError):
            total += one.stat().st_size
    return Kept(at_s, name, total, len(files))
