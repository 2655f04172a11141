"""The parts of a long experiment, each kept as soon as it is found."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, Generic, TypeVar

import cattrs
from attrs import frozen

from runtime.atomic_file import write_atomically

T = TypeVar("T")


@frozen
class Part(Generic[T]):
    """A part that is there, or on its way."""

    value: T | Future[T]

    def wait(self) -> T:
        """Returns the part, when it is there. Raises what kept it from being found."""
        return self.value.result() if isinstance(self.value, Future) else self.value


@frozen
class Parts:
    """Finds parts by processes; those that an earlier run left in `folder` are taken from there."""

    folder: Path
    pool: Executor

    def find(self, kind: type[T], name: str, function: Callable[..., T], *args: Any) -> Part[T]:
        """Returns the part of that name, which `function` finds unless it is kept."""
        path = self.folder / f"{name}.json"
        if path.exists():
            return Part(cattrs.structure(json.loads(path.read_text()), kind))
        future = self.pool.submit(function, *args)
        future.add_done_callback(lambda done: _keep(path, done))
        return Part(future)


def forget(folder: Path) -> None:
    """Drops all parts that were kept."""
    shutil.rmtree(folder, ignore_errors=True)


def _keep(path: Path, done: Future[Any]) -> None:
    if done.cancelled() or done.exception() is not None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(cattrs.unstructure(done.result()), indent=1).encode())
