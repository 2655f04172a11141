"""Which round a run has come to, read from the plan log that its coordinator writes."""

from __future__ import annotations

import json
from pathlib import Path


class RoundWatch:
    """Follows `plans.jsonl`: a round opens when its plan is on record."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_bytes = 0
        self._round = 0

    def newest(self) -> int:
        """Returns the newest round that has been opened, 0 before the first."""
        if not self._path.exists():
            return 0
        with self._path.open("rb") as file:
            # A coordinator that is started again may drop a line that its predecessor tore.
            file.seek(min(self._read_bytes, self._path.stat().st_size))
            data = file.read()
            complete = data[: data.rfind(b"\n") + 1]
            self._read_bytes = file.tell() - len(data) + len(complete)
        for line in complete.splitlines():
            self._round = max(self._round, _round_of(line))
        return self._round


def _round_of(line: bytes) -> int:
    """Returns the round of a plan, 0 for a damaged line: that is for the coordinator to tell."""
    try:
        round = json.loads(line)["round"]
    except (ValueError, TypeError, KeyError):
        return 0
    return round if isinstance(round, int) else 0
