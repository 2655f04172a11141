"""What every process holds and every folder keeps, looked at again and again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil
from attrs import define, field, frozen

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
    samples: list[Sample] = field(factory=list)
    kept: list[Kept] = field(factory=list)

    def look(self, at_s: float) -> None:
        """Takes one sample of everything."""
        us = psutil.Process()
        self.samples += _samples(at_s, us, STAGE)
        for child in us.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                self.samples += _samples(at_s, child, None)
        self.kept += [_kept(at_s, name, path) for name, path in self._places()]

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
        if path.name == "supervisor.py":
            return BROKER
    return COORDINATOR if "coordinator.main" in words else OTHER


def _kept(at_s: float, name: str, path: Path) -> Kept:
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    total = 0
    for one in files:
        with contextlib.suppress(FileNotFoundError):
            total += one.stat().st_size
    return Kept(at_s, name, total, len(files))
