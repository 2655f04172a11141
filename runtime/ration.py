"""How often a peer may cause something: work, or a line on a disk."""

from __future__ import annotations

from attrs import define, field

_KEYS_KEPT = 10_000


@define
class _Bucket:
    left: float
    at_s: float


@define
class Ration:
    """A token bucket for each key: `at_once` of a thing, then one in `every_s` seconds.

    Keys beyond ten thousand share one: names may be free to invent.
    """

    at_once: int
    every_s: float
    _buckets: dict[tuple[str, ...], _Bucket] = field(factory=dict)

    def admits(self, *key: str, now: float) -> bool:
        """Takes a token, if there is one."""
        bucket = self._bucket(key, now)
        bucket.left = min(self.at_once, bucket.left + (now - bucket.at_s) / self.every_s)
        bucket.at_s = now
        if bucket.left < 1:
            return False
        bucket.left -= 1
        return True

    def _bucket(self, key: tuple[str, ...], now: float) -> _Bucket:
        if key not in self._buckets and len(self._buckets) >= _KEYS_KEPT:
            key = ()
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(self.at_once, now)
        return bucket
