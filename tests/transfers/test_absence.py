"""Who vanishes holds up nobody else, and who comes back is told at once what it missed."""

from __future__ import annotations

import pytest

from runtime.frames import Grant, Session
from runtime.ids import COORDINATOR
from runtime.transfers.courier import CourierLimits
from runtime.transfers.outputs import Transmit
from tests.transfers.line import Line, Link
from tests.transfers.test_delivery import BOARD, MB, bulk

FOR_EVER_S = 1e6


def test_who_vanishes_takes_the_credit_of_all_once_only() -> None:
    """It has all of a short budget, which is missed for as long as nobody can know."""
    limits = CourierLimits(downlink_bytes_per_s=1e6)
    line = Line(3, limits=limits, board_limits=CourierLimits(), up=Link(1e6, 0.02))
    gone, *others = line.names
    line.post(gone, "gone", bulk(8 * MB))
    line.run_until(2.0)
    line.interrupt(gone, FOR_EVER_S)
    for name in others:
        line.post(name, "letter", bulk(8 * MB))
    line.run_until(3.2)
    before = line.sent_bytes.total()
    line.run_until(9.2)
    assert line.sent_bytes.total() - before > 0.9 * 6e6


def test_what_a_session_had_is_for_others_when_it_ends() -> None:
    limits = CourierLimits(downlink_bytes_per_s=1e6)
    line = Line(2, limits=limits, board_limits=CourierLimits())
    first, second = line.names
    line.post(first, "first", bulk(4 * MB))
    line.run_until(1.0)
    line.interrupt(first, FOR_EVER_S)
    line.run_until(1.2)
    line.post(second, "second", bulk(MB))
    line.run_until(1.3)
    before = line.sent_bytes[second]
    line.run_until(1.6)
    assert line.sent_bytes[second] == before, "there is no credit left"
    granted = line.hub.courier.close(first, line.now)
    assert [type(one.frame) for one in granted if isinstance(one, Transmit)] == [Grant]


@pytest.mark.parametrize("away_s", [4.5, 9.2, 16.2])
@pytest.mark.parametrize("size_bytes", [2000, 100_000])
def test_who_was_away_has_its_answer_at_once(away_s: float, size_bytes: int) -> None:
    """Not when the time has come to offer it again, which by then is seconds away."""
    line = Line()
    line.post(BOARD, "step", bulk(2000))
    line.run(1)
    line.interrupt(BOARD, away_s)
    line.post(COORDINATOR, "gradient", bulk(size_bytes), BOARD)
    line.run(2)
    assert line.delivered[-1].kind == "gradient"
    assert line.now < away_s + 1.1


def test_who_is_heard_again_is_offered_what_it_missed() -> None:
    line = Line()
    line.interrupt(BOARD, 5.5)
    line.post(COORDINATOR, "order", bulk(2000), BOARD)
    line.run_until(5.6)
    assert line.delivered == []
    line._do(line.hub, line.hub.courier.returned(BOARD, line.now))
    line.run(1)
    assert line.now < 5.7


def test_a_grant_names_no_more_ranges_than_its_topic_carries() -> None:
    """The line refuses larger frames; a burst had the sender seem a hundred times as fast."""
    line = Line(board_limits=CourierLimits(uplink_bytes_per_s=40e3))
    line.hub.courier._sessions[BOARD].inbox.rate._set(8e6)
    line.post(BOARD, "result", bulk(4 * MB))
    line.run_until(1.0)
    assert line.granted_bytes[BOARD] > 3 * MB


def test_a_new_session_starts_from_nothing() -> None:
    line = Line()
    line.post(BOARD, "letter", bulk(MB))
    line.run_until(0.05)
    assert line.hub.courier.open(BOARD, Session(1, 2), line.now) == []
    assert line.hub.courier.held_bytes == 0
