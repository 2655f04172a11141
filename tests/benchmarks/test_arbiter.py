"""The arbiter's benchmark: what it counts, what it makes of it, and that real processes play it."""

from __future__ import annotations

import pytest

from benchmarks.arbiter.case import MBPS, SETTLING_S, Case, Way, measure, rates
from benchmarks.arbiter.part import Peer
from benchmarks.arbiter.question import FIRST, SECOND, Question, questions
from benchmarks.arbiter.sampler import Sample

PAIR = (Peer(FIRST), Peer(SECOND, 3.0))


def test_bytes_count_once_all_have_come_in_and_settled() -> None:
    begins_s = 5.0 + SETTLING_S
    samples = [
        Sample(1.0, FIRST, 999),
        Sample(5.0, SECOND, 999),
        Sample(begins_s - 0.1, FIRST, 999),
        Sample(begins_s, FIRST, 100),
        Sample(begins_s + 1.9, SECOND, 300),
        Sample(begins_s + 2.0, SECOND, 999),
    ]
    assert rates(samples, {FIRST, SECOND}, 2.0) == {FIRST: 50.0, SECOND: 150.0}


@pytest.mark.parametrize(
    ("second", "figure", "kept"),
    [(300.0, 0.0, True), (310.0, 0.024, True), (100.0, 1.0, False), (900.0, 0.6, False)],
)
def test_shares_are_held_against_weights(second: float, figure: float, kept: bool) -> None:
    question = Question("shares", Case("up", PAIR, 8.0), "")
    found = question.figure({FIRST: 100.0, SECOND: second})
    assert found == pytest.approx(figure, abs=1e-3)
    assert question.keeps(found) is kept


@pytest.mark.parametrize("case", [Case("up", PAIR, 8.0, 7.6), Case("up", PAIR, budget_mbps=8.0)])
def test_what_is_lent_is_the_link(case: Case) -> None:
    lone = Question("lending", case, "")
    assert lone.figure({FIRST: 8 * MBPS}) == 1.0
    assert [lone.keeps(figure) for figure in (0.89, 0.9, 1.0)] == [False, True, True]


def test_a_cap_is_to_be_held_and_used() -> None:
    capped = Question("caps", Case("up", PAIR, 8.0), "", cap_bytes_per_s=1000.0)
    runs = [{FIRST: rate, SECOND: 9e5} for rate in (850.0, 1200.0, 1050.0)]
    line, kept = capped.row(runs)
    assert "105.0 % | 85.0 % to 120.0 % | yes" in line
    assert kept
    assert not capped.row([{FIRST: 1200.0, SECOND: 9e5}])[1]


def test_every_question_can_be_played() -> None:
    for question in questions(("shares", "lending", "caps"), (8.0,)):
        parts = question.case.parts("mqtt://broker", "mqtt://via", 1.0)
        assert any(part.receivers for part in parts)
        assert question.case.link_bytes_per_s == 1e6


@pytest.mark.parametrize("way", ["up", "down"])
def test_real_processes_share_a_link(way: Way) -> None:
    counted = measure(Case(way, PAIR, link_mbps=8.0), "iotcore", 0.5)
    assert set(counted) == {FIRST, SECOND}
    assert sum(counted.values()) > 0
