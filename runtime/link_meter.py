"""What arriving letters tell about a link: how many bytes a second, and how long a round trip.

The rate counts from a letter's first chunk to its last, so that it does not depend on the size
of the letter; what comes before the first chunk is the trip of the grant and back.
"""

from __future__ import annotations

from attrs import define, field

from runtime.frames import Chunk, Frame, Offer
from runtime.value import value

_LETTERS_WATCHED = 8
"""Twice as many as a peer may have on their way."""
_LEAST_S = 0.002
"""Chunks that come closer together left a queue, and tell nothing of the link."""

_LEAST_BYTES = 16 * 1024
"""A short rest behind a long first chunk says more about the processes than about the link."""


@value
class Reading:
    """The latest whole letter's; 0 where it was too small to tell.

    `letter_s` is the time from its offer to its last byte.
    """

    bytes_per_s: float = 0.0
    round_trip_s: float = 0.0
    letter_s: float = 0.0


_NOTHING = Reading()


@define
class _Letter:
    offered_s: float
    first_s: float | None = None
    first_bytes: int = 0
    last_s: float = 0.0
    later_bytes: int = 0

    def add(self, size_bytes: int, now: float) -> None:
        if self.first_s is None:
            self.first_s, self.first_bytes = now, size_bytes
        else:
            self.later_bytes += size_bytes
        self.last_s = now


@define
class LinkMeter:
    """Watches the frames of one peer."""

    _letters: dict[int, _Letter] = field(factory=dict)
    _latest: _Letter | None = None

    def saw(self, frame: Frame, now: float) -> None:
        """Takes a frame that arrived."""
        if isinstance(frame, Chunk):
            letter = self._letters.get(frame.id)
            if letter:
                self._latest = letter
                letter.add(len(frame.data), now)
        elif isinstance(frame, Offer) and frame.body is None and frame.id not in self._letters:
            while len(self._letters) >= _LETTERS_WATCHED:
                del self._letters[next(iter(self._letters))]
            self._letters[frame.id] = _Letter(now)

    def read(self) -> Reading:
        """Returns what the letter tells whose chunk came last, once."""
        letter, self._latest = self._latest, None
        if letter is None or letter.first_s is None:
            return _NOTHING
        lasted_s, letter_s = letter.last_s - letter.first_s, letter.last_s - letter.offered_s
        if lasted_s < _LEAST_S or letter.later_bytes < max(_LEAST_BYTES, letter.first_bytes):
            return Reading(letter_s=letter_s)
        rate = letter.later_bytes / lasted_s
        waited_s = letter.first_s - letter.offered_s - letter.first_bytes / rate
        return Reading(rate, max(0.0, waited_s), letter_s)
