"""What waits for the broker is short, and enough for its link, near and far."""

from __future__ import annotations

from collections import deque

import pytest

from runtime.transfers.trip import Trip
from runtime.transfers.window import Window

KIB = 1024
MESSAGE_BYTES = 16 * KIB
LEAST_BYTES = 32 * KIB
AHEAD_S = 0.15
_FINDS_S = 15.0
_COUNTS_S = 5.0


def rate(window: Window, bytes_per_s: float, trip_s: float) -> float:
    """Returns the bytes per second of a link, found out, that is fed whatever the window lets."""
    now, free_at_s, done_bytes = 0.0, 0.0, 0
    acknowledged: deque[float] = deque()
    while now < _FINDS_S + _COUNTS_S:
        while window.in_flight_bytes < window.size_bytes:
            window.handed(MESSAGE_BYTES, now)
            free_at_s = max(free_at_s, now) + MESSAGE_BYTES / bytes_per_s
            acknowledged.append(free_at_s + trip_s)
        now = acknowledged.popleft()
        window.taken(MESSAGE_BYTES, now)
        done_bytes += MESSAGE_BYTES if now >= _FINDS_S else 0
    return done_bytes / _COUNTS_S


@pytest.mark.parametrize("trip_s", [0.0005, 0.02, 0.1, 0.3])
@pytest.mark.parametrize("bytes_per_s", [1e6, 5e6, 50e6])
def test_a_link_is_filled_however_far_the_broker(bytes_per_s: float, trip_s: float) -> None:
    window = Window(AHEAD_S, LEAST_BYTES)
    # One message comes first, as a birth does: it tells the trip.
    window.handed(200, -trip_s)
    window.taken(200, 0.0)
    assert rate(window, bytes_per_s, trip_s) > 0.9 * bytes_per_s


@pytest.mark.parametrize("bytes_per_s", [1e6, 5e6, 50e6])
def test_little_waits_for_the_link(bytes_per_s: float) -> None:
    window = Window(AHEAD_S, LEAST_BYTES)
    rate(window, bytes_per_s, 0.001)
    assert window.size_bytes <= max(LEAST_BYTES, 0.2 * bytes_per_s)


def test_a_long_queue_is_not_a_long_way() -> None:
    window = Window(AHEAD_S, LEAST_BYTES)
    for _ in range(50):
        window.handed(MESSAGE_BYTES, 0.0)
    for index in range(50):
        window.taken(MESSAGE_BYTES, 0.02 * (index + 1))
    assert window.size_bytes < 0.2 * MESSAGE_BYTES / 0.02


def test_small_messages_say_nothing_of_the_link() -> None:
    window = Window(AHEAD_S, LEAST_BYTES)
    for at in range(100):
        window.handed(200, at)
        window.taken(200, at + 1e-6)
    assert window.size_bytes == LEAST_BYTES


def test_a_cap_bounds_it() -> None:
    window = Window(AHEAD_S, LEAST_BYTES, 100_000.0)
    assert window.size_bytes == pytest.approx(15_000)
    rate(window, 1e5, 0.02)
    assert window.size_bytes == pytest.approx(15_000)


def test_a_new_connection_has_nothing_under_way() -> None:
    window = Window(AHEAD_S, LEAST_BYTES)
    window.handed(MESSAGE_BYTES, 0.0)
    window.reset()
    assert window.in_flight_bytes == 0
    window.taken(MESSAGE_BYTES, 1.0)
    assert window.in_flight_bytes == 0, "a late word of the one before"


def test_a_longer_way_takes_more_to_fill_it() -> None:
    window, far, unknown = Window(AHEAD_S, LEAST_BYTES), Trip(), Trip()
    rate(window, 1e6, 0.02)
    far.left(0.0)
    far.ended(0.3)
    assert window.over(far) > 2 * window.size_bytes
    assert window.over(unknown) == window.size_bytes


def test_what_is_lost_tells_no_trip() -> None:
    window = Window(AHEAD_S, LEAST_BYTES)
    window.handed(MESSAGE_BYTES, 0.0)
    window.lost(MESSAGE_BYTES)
    assert window.in_flight_bytes == 0
    rate(window, 1e6, 0.02)
    assert window.size_bytes < 0.2 * 1e6 + LEAST_BYTES


class TestTrip:
    def test_the_shortest_counts(self) -> None:
        trip = Trip()
        for left, ended in ((0.0, 0.5), (1.0, 1.25), (2.0, 2.75)):
            trip.left(left)
            trip.ended(ended)
        assert trip.shortest_s == 0.25

    def test_only_the_first_answer_ends_it(self) -> None:
        trip = Trip()
        trip.left(1.0)
        trip.ended(1.5)
        trip.ended(1.5)
        assert trip.shortest_s == 0.5

    def test_without_an_answer_nothing_is_known(self) -> None:
        trip = Trip()
        trip.left(0.0)
        trip.broken_off()
        trip.ended(1.0)
        assert trip.shortest_s is None
