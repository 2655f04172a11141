"""How often an event may be put on record: what peers can cause must not fill a disk."""

from __future__ import annotations

from typing import Any

from attrs import define, field

_AT_ONCE = 200
_EVERY_S = 30.0
_KEYS_KEPT = 10_000


@define
class _Bucket:
    left: float
    at_s: float


@define
class EventMeter:
    """A token bucket for each kind of event and party: 200 at once, then one in 30 seconds.

    With lines of at most a kilobyte that is 3 MB a day for each. `unrecorded` counts the rest.
    """

    unrecorded: dict[str, int] = field(factory=dict)
    _buckets: dict[tuple[str, str], _Bucket] = field(factory=dict)

    def admits(self, entry: dict[str, Any], now: float) -> bool:
        """Tells whether this event goes on record."""
        kind = str(entry.get("event"))
        bucket = self._bucket(kind, str(entry.get("device", "")), now)
        bucket.left = min(_AT_ONCE, bucket.left + (now - bucket.at_s) / _EVERY_S)
        bucket.at_s = now
        if bucket.left < 1:
            self.unrecorded[kind] = self.unrecorded.get(kind, 0) + 1
            return False
        bucket.left -= 1
        return True

    def _bucket(self, kind: str, device: str, now: float) -> _Bucket:
        key = (kind, device)
        if key not in self._buckets and len(self._buckets) >= _KEYS_KEPT:
            key = (kind, "")
        return self._buckets.setdefault(key, _Bucket(_AT_ONCE, now))
