"""How long a way is shows in a message that finds it empty."""

from __future__ import annotations

from runtime.transfers.trip import Trip


def test_the_shortest_counts() -> None:
    trip = Trip()
    for left, ended in ((0.0, 0.5), (1.0, 1.25), (2.0, 2.75)):
        trip.left(left)
        trip.ended(ended)
    assert trip.shortest_s == 0.25


def test_only_the_first_answer_ends_it() -> None:
    trip = Trip()
    trip.left(1.0)
    trip.ended(1.5)
    trip.ended(1.5)
    assert trip.shortest_s == 0.5


def test_without_an_answer_nothing_is_known() -> None:
    trip = Trip()
    trip.left(0.0)
    assert trip.shortest_s is None
