"""Adding up bytes that are counted from the start of a process, over several of them."""

from __future__ import annotations

import attrs
from attrs import frozen

from coordinator.record.run_record import Entry


@frozen
class ByteCount:
    """A device's bytes in one direction; `key` is "up_bytes" or "down_bytes".

    The records of rounds count from the start of the process that wrote them (`writer`). Where
    that changes, or where the count falls, it began anew at 0.
    """

    device: str
    key: str
    total_bytes: int = 0
    _counted_bytes: int = 0
    _writer: int | None = None

    def after(self, entry: Entry) -> ByteCount:
        """Returns the count after one more round."""
        writer = entry.get("writer")
        before = self._counted_bytes if writer == self._writer else 0
        part = entry["devices"].get(self.device)
        if part is None:
            return attrs.evolve(self, counted_bytes=before, writer=writer)
        now: int = part[self.key]
        total = self.total_bytes + now - (before if now >= before else 0)
        return ByteCount(self.device, self.key, total, now, writer)
