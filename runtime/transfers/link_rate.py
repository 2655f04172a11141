"""How fast a peer's bytes arrive, and what follows for windows and chunks.

At most half a second of bytes may be on their way, so that a control message is never stuck
behind bulk; a chunk is at most an eighth of a second: with fewer than four in a window, one
that no longer fits after a low measurement leaves the link idle, and the next one is lower.
A letter of up to a quarter of a second comes unasked: offer and grant behind what others send
would delay it by more than it can delay others.
"""

from __future__ import annotations

import math

from runtime.topics import CHUNK_LIMIT_BYTES

_WINDOW_S = 0.5
_AHEAD_S = 0.25
_CHUNK_S = 0.125
_CAPPED_CHUNK_S = 0.03
"""Under a cap that peers share, each waits for the others' messages before its own."""
LEAST_CHUNK_BYTES = 4 * 1024
_FIRST_WINDOW_BYTES = 32 * 1024
_SAMPLE_S = 0.02
"""Soon, though too high where chunks come in bursts."""
_SMOOTHING = 0.5


def chunk_bytes_at(bytes_per_s: float, cap_bytes_per_s: float = math.inf) -> int:
    """Returns how large a chunk should be on a link of this rate, under a cap that peers share."""
    wanted_bytes = min(bytes_per_s * _CHUNK_S, cap_bytes_per_s * _CAPPED_CHUNK_S)
    return int(min(CHUNK_LIMIT_BYTES, max(LEAST_CHUNK_BYTES, wanted_bytes)))


def ahead_bytes_at(bytes_per_s: float) -> int:
    """Returns how large a letter may be that comes unasked over a link of this rate."""
    return int(min(CHUNK_LIMIT_BYTES, bytes_per_s * _AHEAD_S))


class LinkRate:
    """Measures while bytes are outstanding, so that an idle link does not look slow.

    Windows and chunks never go by more than `cap_bytes_per_s`: a cap that lets a large chunk
    through at once and then nothing for seconds would be one on paper only.
    """

    __slots__ = (
        "_arrived_bytes",
        "_cap_bytes_per_s",
        "_chunk_bytes",
        "_sample_s",
        "_since_s",
        "bytes_per_s",
        "window_bytes",
    )

    def __init__(self, cap_bytes_per_s: float | None = None, sample_s: float = _SAMPLE_S) -> None:
        self._sample_s = sample_s
        self.bytes_per_s: float | None = None
        self._cap_bytes_per_s = math.inf if cap_bytes_per_s is None else cap_bytes_per_s
        self._since_s: float | None = None
        self._arrived_bytes = 0
        self._open(_FIRST_WINDOW_BYTES)

    def busy(self, now: float) -> None:
        """Says that bytes have been asked for."""
        if self._since_s is None:
            self._since_s, self._arrived_bytes = now, 0

    def arrived(self, size_bytes: int, now: float, *, outstanding: bool) -> None:
        """Counts bytes that came; `outstanding` tells whether more are on their way."""
        if self._since_s is None:
            return
        self._arrived_bytes += size_bytes
        elapsed_s = now - self._since_s
        if not outstanding or elapsed_s >= self._sample_s:
            sample, old = self._arrived_bytes / max(elapsed_s, 1e-3), self.bytes_per_s
            self._set(sample if old is None else old + _SMOOTHING * (sample - old))
            self._since_s, self._arrived_bytes = (now if outstanding else None), 0

    def idle(self) -> None:
        """Says that nothing is awaited any more, though not everything came."""
        self._since_s = None

    def stalled(self) -> None:
        """Says that nothing came for long: start again from a small window."""
        self._since_s = None
        if self.bytes_per_s is not None:
            self._set(self.bytes_per_s / 2)

    def _set(self, bytes_per_s: float) -> None:
        self.bytes_per_s = bytes_per_s
        rate = min(bytes_per_s, self._cap_bytes_per_s)
        self._open(max(2 * LEAST_CHUNK_BYTES, int(rate * _WINDOW_S)))

    def _open(self, window_bytes: int) -> None:
        self.window_bytes = window_bytes
        """How many bytes may be outstanding."""
        self._chunk_bytes: int | None = None

    @property
    def chunk_bytes(self) -> int:
        """How large a chunk should be."""
        # Either nobody asks before it changes, or many do.
        if self._chunk_bytes is None:
            rate = self.window_bytes / _WINDOW_S
            self._chunk_bytes = chunk_bytes_at(rate, self._cap_bytes_per_s)
        return self._chunk_bytes

    @property
    def ahead_bytes(self) -> int:
        """How large a letter may be that comes unasked."""
        return ahead_bytes_at(self.window_bytes / _WINDOW_S)
