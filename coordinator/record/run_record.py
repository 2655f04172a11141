"""A run on disk: a folder of its own, with a file of JSON lines for every stream of records.

runs/latest -> fashion-mnist-20260304T101500Z
runs/fashion-mnist-20260304T101500Z/{plans,rounds,events}.jsonl, checkpoint, weights, summary
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from runtime.atomic_file import write_atomically
from runtime.errors import StorageError

Entry = dict[str, Any]
Listener = Callable[[str, Entry], None]

_DURABLE = frozenset({"plans", "rounds"})
"""Streams that a restarted coordinator goes on from; an event may be lost in a power cut."""


class RunRecord:
    """Implements `runtime.host.Records`; the file of a stream is made at its first entry.

    Every event gets the time of day as `at`. Every round gets the number of the process that
    wrote it as `writer` (the first is 1), because counts of bytes start anew with each.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, IO[bytes]] = {}
        self._listeners: list[Listener] = []
        self._writer = 1

    @classmethod
    def create(cls, runs: Path, name: str) -> RunRecord:
        """Makes a new folder in `runs` and points `runs/latest` at it. Raises StorageError."""
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        folder = _make_unique(runs, f"{name}-{stamp}")
        _point(runs / "latest", folder.name)
        return cls(folder)

    @classmethod
    def begin(cls, folder: Path) -> RunRecord:
        """Records into a folder of the caller's choice. Raises StorageError if it holds a run."""
        if _holds_run(folder):
            raise StorageError(f"{folder} already holds a run; go on with it by --resume {folder}")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{folder} cannot be made: {error.strerror}") from error
        return cls(folder)

    @classmethod
    def reopen(cls, folder: Path) -> RunRecord:
        """Goes on with a run. A last line that a crash left unfinished is dropped.

        Raises StorageError when there is no run, or a record of it is damaged.
        """
        if not _holds_run(folder):
            raise StorageError(f"{folder} holds no run; name the folder of one, as runs/latest")
        # `runs/latest` may point elsewhere before this run is over.
        record = cls(folder.resolve())
        for path in record.folder.glob("*.jsonl"):
            _drop_torn_line(path)
        record._writer = 1 + max((one.get("writer", 1) for one in record.rounds()), default=0)
        return record

    @property
    def run(self) -> str:
        """The run's name, which is that of its folder."""
        return self.folder.resolve().name

    @property
    def job_path(self) -> Path:
        return self.folder / "job.json"

    @property
    def checkpoint_path(self) -> Path:
        return self.folder / "checkpoint.safetensors"

    @property
    def final_weights_path(self) -> Path:
        return self.folder / "final.safetensors"

    @property
    def final_onnx_path(self) -> Path:
        return self.folder / "final.onnx"

    @property
    def summary_path(self) -> Path:
        return self.folder / "summary.json"

    @property
    def summary_text_path(self) -> Path:
        return self.folder / "summary.txt"

    @property
    def plot_path(self) -> Path:
        return self.folder / "training.png"

    @property
    def round_plot_path(self) -> Path:
        return self.folder / "round.png"

    def plans(self) -> list[Entry]:
        """The plans on record, in order. Raises StorageError."""
        return self._read("plans")

    def rounds(self) -> list[Entry]:
        """The closed rounds, in order. Raises StorageError."""
        return self._read("rounds")

    def events(self) -> list[Entry]:
        """What happened, in the order of its recording. Raises StorageError."""
        return self._read("events")

    def keep_rounds(self, count: int, last: Mapping[str, Any]) -> None:
        """Drops the rounds beyond the first `count`: those that no checkpoint covers.

        `last` is the entry of the round of the checkpoint, which a crash may have kept from
        getting here; without any nothing is added. Raises StorageError.
        """
        kept = [one for one in self.rounds() if one["round"] <= count]
        if last and all(one["round"] != count for one in kept):
            kept.append(_without_nan(self._stamped("rounds", dict(last))))
        self._close("rounds")
        write_atomically(self._path("rounds"), b"".join(map(_line, kept)))

    def listen(self, listener: Listener) -> None:
        """Tells `listener` of every entry to come, on the thread that appends it."""
        self._listeners.append(listener)

    def append(self, stream: str, entry: Entry) -> None:
        """Adds an entry; plans and rounds are on disk on return. Raises StorageError."""
        entry = self._stamped(stream, entry)
        try:
            line = _line(entry)
        except ValueError:  # hardly ever: to look for NaN takes longer than to write
            entry = _without_nan(entry)
            line = _line(entry)
        try:
            file = self._file(stream)
            file.write(line)
            file.flush()
            if stream in _DURABLE:
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(f"{self._path(stream)} cannot be written: {error}") from error
        for listener in self._listeners:
            listener(stream, entry)

    def close(self) -> None:
        """Closes the files; a later `append` opens them again."""
        for stream in tuple(self._files):
            self._close(stream)

    def _stamped(self, stream: str, entry: Entry) -> Entry:
        match stream:
            case "events":
                return {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), **entry}
            case "rounds":
                return {**entry, "writer": self._writer}
        return entry

    def _path(self, stream: str) -> Path:
        return self.folder / f"{stream}.jsonl"

    def _file(self, stream: str) -> IO[bytes]:
        if stream not in self._files:
            self._files[stream] = self._path(stream).open("ab")
        return self._files[stream]

    def _close(self, stream: str) -> None:
        if stream in self._files:
            self._files.pop(stream).close()

    def _read(self, stream: str) -> list[Entry]:
        return read_lines(self._path(stream))


def read_lines(path: Path) -> list[Entry]:
    """Returns the entries of a JSON lines file, none if it does not exist. Raises StorageError."""
    if not path.exists():
        return []
    entries: list[Entry] = []
    for number, line in enumerate(_bytes_of(path).splitlines(), start=1):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:  # the latter for what is nested too deep
            raise StorageError(f"{path}: line {number} is damaged: {error}") from error
        if not isinstance(entry, dict):
            raise StorageError(f"{path}: line {number} is damaged: it is no JSON object")
        entries.append(entry)
    return entries


def _holds_run(folder: Path) -> bool:
    return any(folder.glob("*.jsonl"))


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error


def _drop_torn_line(path: Path) -> None:
    data = _bytes_of(path)
    if data and not data.endswith(b"\n"):
        write_atomically(path, data[: data.rfind(b"\n") + 1])


def _line(entry: Entry) -> bytes:
    return json.dumps(entry, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _without_nan(value: Any) -> Any:
    """Replaces what JSON has no word for by null."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {key: _without_nan(one) for key, one in value.items()}
        case list() | tuple():
            return [_without_nan(one) for one in value]
    return value


def _make_unique(runs: Path, name: str) -> Path:
    number = 1
    while True:
        folder = runs / (name if number == 1 else f"{name}-{number}")
        try:
            runs.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
            return folder
        except FileExistsError:
            if not runs.is_dir():
                raise StorageError(f"{runs} is not a folder; name another with --runs") from None
            number += 1
        except OSError as error:
            raise StorageError(f"{folder} cannot be made: {error.strerror}") from error


def _point(link: Path, target: str) -> None:
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    try:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        temporary.symlink_to(target)
        temporary.replace(link)
    except OSError as error:
        raise StorageError(f"{link} cannot be made: {error.strerror}") from error
