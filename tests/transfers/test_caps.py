"""Hard caps for single peers: held, never lent, and nobody else's business."""

from __future__ import annotations

import os

import pytest

from runtime.ids import COORDINATOR
from runtime.transfers.pacer import Pacer
from tests.transfers.line import Line, Link

SIZE_BYTES = 4_000_000


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_capped_peer_keeps_to_its_rate_and_the_other_does_not(way: str) -> None:
    line = Line(2, up=Link(8e6), down=Link(8e6))
    capped = line.names[0]
    line.hub.courier.cap(capped, 5e5, 5e5)
    for name in line.names:
        sender, to = (name, COORDINATOR) if way == "up" else (COORDINATOR, name)
        line.post(sender, "bulk", os.urandom(SIZE_BYTES), to)
    line.run(1)
    # The rest of the line is the free peer's: a cap is not lent, but it is no share either.
    assert line.now == pytest.approx(SIZE_BYTES / 7.5e6, rel=0.25)
    line.run(2)
    assert line.now == pytest.approx(SIZE_BYTES / 5e5, rel=0.1)


def test_waiting_for_a_turn_costs_nothing_of_a_cap() -> None:
    """Beside another that fills a fast link, a chunk of its own is sent later than it might."""
    pacer = Pacer(1e6)
    now, sent_bytes = 0.0, 0
    while now < 20.0:
        now = pacer.ready_at(now) + 0.06
        pacer.spend(125_000, now)
        sent_bytes += 125_000
    assert sent_bytes / now == pytest.approx(1e6, rel=0.02)


def test_a_cap_can_be_lifted() -> None:
    line = Line(1, up=Link(8e6))
    (board,) = line.names
    line.hub.courier.cap(board, 1e5, None)
    line.post(board, "bulk", os.urandom(SIZE_BYTES))
    line.run_until(2.0)
    line.hub.courier.cap(board, None, None)
    line.run(1)
    # Under the cap it would be 40 s; the window has to grow before the line is full again.
    assert line.now < 6.0


def test_small_letters_pass_a_cap() -> None:
    line = Line(1, up=Link(8e6))
    (board,) = line.names
    line.hub.courier.cap(board, 1e5, 1e5)
    line.post(board, "bulk", os.urandom(SIZE_BYTES))
    line.run_until(1.0)
    line.post(board, "word", b"now")
    line.run(1)
    assert (line.delivered[0].kind, line.now < 1.2) == ("word", True)


def test_a_pause_earns_no_more_than_a_burst_however_large_messages_are() -> None:
    pacer = Pacer(1000.0)
    pacer.spend(5000, 0.0)
    pacer.spend(1000, 100.0)
    assert pacer.ready_at(100.0) == pytest.approx(100.0 + (1000 - 75) / 1000)
