"""What waits for the broker is short, and enough for its link, near and far."""

from __future__ import annotations

from collections import deque

import pytest

from runtime.transfers.send_window import SendWindow

KIB = 1024
MESSAGE_BYTES = 16 * KIB
LEAST_BYTES = 32 * KIB
_FINDS_S = 15.0
_COUNTS_S = 5.0


def rate(window: SendWindow, bytes_per_s: float, trip_s: float) -> float:
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
    window = SendWindow()
    # One message comes first, as a birth does: it tells the trip.
    window.handed(200, -trip_s)
    window.taken(200, 0.0)
    assert rate(window, bytes_per_s, trip_s) > 0.9 * bytes_per_s


@pytest.mark.parametrize("bytes_per_s", [1e6, 5e6, 50e6])
def test_little_waits_for_the_link(bytes_per_s: float) -> None:
    window = SendWindow()
    rate(window, bytes_per_s, 0.001)
    assert window.size_bytes <= max(LEAST_BYTES, 0.2 * bytes_per_s)


def test_a_long_queue_is_not_a_long_way() -> None:
    window = SendWindow()
    for _ in range(50):
        window.handed(MESSAGE_BYTES, 0.0)
    for index in range(50):
        window.taken(MESSAGE_BYTES, 0.02 * (index + 1))
    assert window.size_bytes < 0.2 * MESSAGE_BYTES / 0.02


def test_small_messages_say_nothing_of_the_link() -> None:
    window = SendWindow()
    for at in range(100):
        window.handed(200, at)
        window.taken(200, at + 1e-6)
    assert window.size_bytes == LEAST_BYTES


def test_a_cap_bounds_it() -> None:
    window = SendWindow(100_000.0)
    assert window.size_bytes == pytest.approx(15_000)
    rate(window, 1e5, 0.02)
    assert window.size_bytes == pytest.approx(15_000)


def test_a_new_connection_has_nothing_under_way() -> None:
    window = SendWindow()
    window.handed(MESSAGE_BYTES, 0.0)
    window.reset()
    assert window.in_flight_bytes == 0
    window.taken(MESSAGE_BYTES, 1.0)
    assert window.in_flight_bytes == 0, "a late word of the one before"


def test_what_nobody_acknowledges_tells_no_trip() -> None:
    window = SendWindow()
    rate(window, 1e6, 0.3)
    far_bytes = window.size_bytes
    near = SendWindow()
    near.handed(40, -0.4, is_acknowledged=False)
    near.taken(40, -0.399)
    near.handed(40, -0.35, is_acknowledged=False)
    near.handed(200, -0.35)
    near.taken(40, -0.349)
    near.taken(200, -0.05)
    rate(near, 1e6, 0.3)
    assert near.size_bytes == pytest.approx(far_bytes, rel=0.05)
