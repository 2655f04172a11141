"""A receipt rides on the answer, and waits for one no longer than it may."""

from __future__ import annotations

from runtime.frames import Receipt, Session
from runtime.ids import COORDINATOR
from runtime.transfers.owed import Owed
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
    assert line.now < 0.3
    line.settle()
    assert line.log == {"offer": 1, "receipt": 1}


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
    line.hub.courier.close(BOARD)
    assert line.hub.courier.tick(line.now + 60.0) == []


def test_the_earliest_is_due_first() -> None:
    owed, session = Owed(), Session(1, 1)
    assert owed.deadline() is None
    owed.owe(BOARD, Receipt(session, 1), 1.0)
    other = COORDINATOR
    owed.owe(other, Receipt(session, 1), 1.1)
    assert owed.owe(BOARD, Receipt(session, 2), 1.2) == Receipt(session, 1)
    assert owed.overdue(1.36) == [other]
    assert owed.pay(other) == Receipt(session, 1)
    assert owed.overdue(2.0) == [BOARD]
