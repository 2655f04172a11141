"""A letter that is small for the link travels unasked, and never out of turn."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest

from runtime.frames import Grant, Offer, Receipt, Session
from runtime.ids import COORDINATOR
from runtime.topics import CHUNK_LIMIT_BYTES
from runtime.transfers.courier import Courier, CourierLimits
from runtime.transfers.outbox import Outbox
from runtime.transfers.outputs import Transmit
from tests.transfers.line import Line, Link, Weather
from tests.transfers.test_delivery import BOARD, MB, bulk

SIZE_BYTES = 50_000
SESSION = Session(1, 1)


def known(boards: int = 1, bytes_per_s: float = 4e6, limits: CourierLimits | None = None) -> Line:
    """Returns a line whose boards know how fast it is; there and back takes 0.1 s."""
    line = Line(boards, down=Link(bytes_per_s, 0.1), limits=limits)
    for name in line.names:
        line.post(COORDINATOR, "order", bulk(MB), name)
    line.settle()
    line.delivered.clear()
    line.log.clear()
    return line


class TestOneLetter:
    def test_it_saves_a_round_trip(self) -> None:
        line = known()
        began_s = line.now
        line.post(COORDINATOR, "gradient", bulk(SIZE_BYTES), BOARD)
        line.run(1)
        assert line.now - began_s == pytest.approx(SIZE_BYTES / 4e6 + 0.05, rel=0.05)
        assert line.log == {"offer": 1}

    def test_on_a_link_of_which_nothing_is_known_it_is_asked_for(self) -> None:
        line = Line()
        line.post(COORDINATOR, "gradient", bulk(SIZE_BYTES), BOARD)
        line.settle()
        assert line.log["chunk"] > 1

    def test_one_that_is_large_for_the_link_is_asked_for(self) -> None:
        line = known(bytes_per_s=100e3)
        line.post(COORDINATOR, "gradient", bulk(SIZE_BYTES), BOARD)
        line.settle()
        assert line.log["chunk"] > 1

    def test_what_a_board_sends_is_always_asked_for(self) -> None:
        line = known()
        for index in range(3):
            line.post(BOARD, "result", bulk(MB, index))
        line.settle()
        line.log.clear()
        line.post(BOARD, "step", bulk(SIZE_BYTES))
        line.settle()
        assert line.log["chunk"] >= 1

    def test_one_that_was_lost_is_asked_for(self) -> None:
        line = known()
        line.weather = Weather(drop=1.0)
        line.post(COORDINATOR, "gradient", bulk(SIZE_BYTES), BOARD)
        line.run_until(line.now + 0.5)
        line.weather = Weather()
        line.run(1)
        assert (line.log["offer"], line.log["chunk"] >= 1) == (2, True)
        # Until the peer says again what it takes, nothing goes unasked.
        line.settle()
        assert line.delivered[0].body == bulk(SIZE_BYTES)

    def test_no_grant_makes_a_letter_go_that_no_message_holds(self) -> None:
        outbox = Outbox(SESSION)
        outbox.granted(Grant(SESSION, 1, (), 2**62), 0.0)
        assert outbox.post("order", bytes(CHUNK_LIMIT_BYTES + 1))
        assert [one.body for one in outbox.offers(0.0)] == [None]

    def test_it_waits_a_second_for_its_turn(self) -> None:
        outbox = Outbox(SESSION)
        outbox.post("order", bulk(SIZE_BYTES))
        (first,) = outbox.offers(0.0)
        outbox.granted(Grant(SESSION, first.id, (), CHUNK_LIMIT_BYTES), 0.0)
        outbox.receipted(Receipt(SESSION, first.id))
        outbox.post("gradient", bulk(SIZE_BYTES))
        assert outbox.offers(10.0) == []
        assert outbox.deadline() == 11.0

    def test_who_has_many_peers_takes_none(self) -> None:
        made = Courier(CourierLimits())
        made.open(BOARD, SESSION, 0.0)
        made.connected(0.0)
        body = bulk(SIZE_BYTES)
        offer = Offer(SESSION, 1, "step", len(body), hashlib.sha256(body).digest(), body)
        (asked,) = made.received(BOARD, offer, 0.0)
        assert isinstance(asked, Transmit)
        assert isinstance(asked.frame, Grant)


class TestManyLetters:
    def test_they_divide_by_weight_and_keep_to_the_limit(self) -> None:
        line = known(2, limits=CourierLimits(uplink_bytes_per_s=1e6))
        for name, weight in zip(line.names, (1.0, 3.0), strict=True):
            line.hub.courier.weigh(name, weight)
            for index in range(400):
                line.post(COORDINATOR, str(name), bulk(SIZE_BYTES // 2, index), name)
        line.run_until(line.now + 8.0)
        assert "chunk" not in line.log
        came = Counter(one.kind for one in line.delivered)
        assert came.total() * SIZE_BYTES / 2 == pytest.approx(8e6, rel=0.05)
        assert came[line.names[1]] / came.total() == pytest.approx(0.75, rel=0.1)

    def test_large_ones_go_in_pieces_that_the_shared_link_can_bear(self) -> None:
        line = known(limits=CourierLimits(uplink_bytes_per_s=1e6))
        line.post(COORDINATOR, "order", bulk(600_000), BOARD)
        line.run(1)
        assert line.log["chunk"] == 600_000 / (0.03 * 1e6)

    def test_they_keep_to_a_cap(self) -> None:
        line = known()
        line.hub.courier.cap(BOARD, None, 5e5)
        for index in range(100):
            line.post(COORDINATOR, "gradient", bulk(SIZE_BYTES, index), BOARD)
        began_s = line.now
        line.run(100)
        assert line.now - began_s == pytest.approx(100 * SIZE_BYTES / 5e5, rel=0.1)
