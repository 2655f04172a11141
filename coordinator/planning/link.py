"""A device's link as planners see it: rates, and what letters wait for whatever the rates."""

from __future__ import annotations

import math

from attrs import frozen

from runtime.topics import INLINE_LIMIT_BYTES
from runtime.transfers.link_rate import ahead_bytes_at, chunk_bytes_at


@frozen
class Way:
    """One direction: letters up to `unasked_bytes` come in one message, others are asked for.

    The broker passes a message on when it is there as a whole: what the shared hop adds to a
    slower link of the device's own is the time of one message, `relayed_s_per_byte`. A link that
    was measured as fast as the shared one was measured through it, and is faster.
    """

    bytes_per_s: float
    round_trip_s: float
    unasked_bytes: float
    message_bytes: float
    relayed_s_per_byte: float

    @classmethod
    def up(cls, bytes_per_s: float, shared_bytes_per_s: float, round_trip_s: float) -> Way:
        """Returns the way of activations."""
        message_bytes = chunk_bytes_at(bytes_per_s, shared_bytes_per_s)
        relayed_s = _relayed_s(bytes_per_s, shared_bytes_per_s)
        return cls(bytes_per_s, round_trip_s, INLINE_LIMIT_BYTES, message_bytes, relayed_s)

    @classmethod
    def down(cls, bytes_per_s: float, shared_bytes_per_s: float, round_trip_s: float) -> Way:
        """Returns the way of gradients: one that is small for the link goes unasked."""
        message_bytes = chunk_bytes_at(bytes_per_s, shared_bytes_per_s)
        piece_bytes = chunk_bytes_at(math.inf, shared_bytes_per_s)
        unasked_bytes = max(INLINE_LIMIT_BYTES, min(ahead_bytes_at(bytes_per_s), piece_bytes))
        relayed_s = _relayed_s(bytes_per_s, shared_bytes_per_s)
        return cls(bytes_per_s, round_trip_s, unasked_bytes, message_bytes, relayed_s)

    def wait_s(self, size_bytes: float) -> float:
        """Returns what a letter waits for before it flows, and between the two hops."""
        if size_bytes == 0:
            return 0.0
        if size_bytes <= self.unasked_bytes:
            return 0.5 * self.round_trip_s + size_bytes * self.relayed_s_per_byte
        message_bytes = min(size_bytes, self.message_bytes)
        return 1.5 * self.round_trip_s + message_bytes * self.relayed_s_per_byte

    def transfer_s(self, size_bytes: float) -> float:
        """Returns the time of a letter on the idle link."""
        return size_bytes / self.bytes_per_s + self.wait_s(size_bytes)


@frozen
class Link:
    """A device's link to the broker; and the one that all share, between broker and coordinator."""

    up_bytes_per_s: float
    down_bytes_per_s: float
    round_trip_s: float
    shared_up_bytes_per_s: float = math.inf
    shared_down_bytes_per_s: float = math.inf

    @property
    def ways(self) -> tuple[Way, Way]:
        """Up and down."""
        up = Way.up(self.up_bytes_per_s, self.shared_up_bytes_per_s, self.round_trip_s)
        down = Way.down(self.down_bytes_per_s, self.shared_down_bytes_per_s, self.round_trip_s)
        return up, down

    def slowed(self, pace: float) -> Link:
        """Returns a link on which everything takes `pace` times as long."""
        return Link(
            self.up_bytes_per_s / pace,
            self.down_bytes_per_s / pace,
            self.round_trip_s * pace,
            self.shared_up_bytes_per_s,
            self.shared_down_bytes_per_s,
        )


def _relayed_s(own_bytes_per_s: float, shared_bytes_per_s: float) -> float:
    slower = max(0.0, 1 - own_bytes_per_s / shared_bytes_per_s)
    return slower / shared_bytes_per_s
