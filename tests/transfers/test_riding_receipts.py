"""A receipt rides on the answer, and waits for one no longer than it may."""

from __future__ import annotations

import attrs

from runtime.frames import Offer, Session
from runtime.ids import COORDINATOR
from runtime.transfers.courier import Courier, CourierLimits
from tests.transfers.line import Line, Weather
from tests.transfers.test_delivery import BOARD, bulk


def answered(line: Line, kind: str = "step") -> None:
    """Sends a letter up and, once it is there, one down."""
    line.post(BOARD, kind, bulk(2000))
    line.run(len(line.delivered) + 1)
    line.post(COORDINATOR, "gradient", bulk(2000, 1), BOARD)
    line.settle()


def test_it_rides_on_the_answer() -> None:
    line = Line()
    answered(line)
    # The gradient's own has nothing to ride on.
    assert line.log == {"offer": 2, "receipt": 1}
    assert all(party.courier.held_bytes == 0 for party in line.parties.values())


def test_one_that_nothing_answers_comes_alone_and_in_time() -> None:
    line = Line()
    line.post(BOARD, "step", bulk(2000))
    while not line.log["receipt"]:
        line.clock.step()
    assert 1.0 < line.now < 1.1
    line.settle()
    assert line.log == {"offer": 1, "receipt": 1}


def answered_after(wait_s: float, size_bytes: int) -> Line:
    """Sends a letter up and, when it has been there for so long, one down."""
    line = Line()
    line.post(BOARD, "step", bulk(size_bytes))
    line.run(1)
    line.run_until(line.now + wait_s)
    line.post(COORDINATOR, "gradient", bulk(2000, 1), BOARD)
    line.settle()
    return line


def test_its_sender_waits_as_long() -> None:
    assert answered_after(0.9, 2000).log == {"offer": 2, "receipt": 1}


def test_what_is_lost_all_in_its_offer_is_offered_again() -> None:
    line = Line()
    line.weather = Weather(drop=1.0)
    line.post(BOARD, "step", bulk(2000))
    line.weather = Weather()
    line.run(1)
    assert 3.0 < line.now < 3.1


def test_of_a_letter_that_was_asked_for_it_waits_longer() -> None:
    line = answered_after(1.5, 50_000)
    # Offered once: its sender waited as long.
    assert (line.log["offer"], line.log["receipt"]) == (2, 1)


def test_a_repeated_offer_is_the_same_offer() -> None:
    hub, session = Courier(CourierLimits()), Session(1, 1)
    hub.open(BOARD, session, 0.0)
    hub.connected(0.0)
    first = Offer(session, 1, "result", 500_000, b"d" * 32, receipt=1)
    hub.received(BOARD, first, 0.0)
    hub.received(BOARD, attrs.evolve(first, receipt=None), 1.0)
    assert hub.counts() == {}


def test_letters_that_nobody_answers_are_confirmed_at_once() -> None:
    line = Line()
    line.post(BOARD, "result", bulk(2000))
    line.run(1)
    assert line.log == {"offer": 1, "receipt": 1}


def test_a_second_letter_waits_for_no_answer_to_the_first() -> None:
    line = Line()
    for index in range(40):
        line.post(BOARD, "step", index.to_bytes(2, "big"))
    line.run(40)
    assert line.now < 0.6, "four letters are offered at once, and three of them confirmed"


def test_a_ride_that_is_lost_is_asked_for_again() -> None:
    line = Line()
    line.post(BOARD, "step", bulk(2000))
    line.run(1)
    line.weather = Weather(drop=1.0)
    line.post(COORDINATOR, "gradient", bulk(2000, 1), BOARD)
    line.weather = Weather()
    line.settle()
    assert [one.kind for one in line.delivered] == ["step", "gradient"]
    assert all(party.courier.held_bytes == 0 for party in line.parties.values())


def test_a_session_that_ended_is_owed_nothing() -> None:
    line = Line()
    line.post(BOARD, "step", bulk(2000))
    line.run(1)
    line.hub.courier.close(BOARD, line.now)
    assert line.hub.courier.tick(line.now + 60.0) == []
