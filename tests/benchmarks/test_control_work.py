"""The stopwatch's twins live through the same rounds as the coordinator that they are told of."""

from __future__ import annotations

from benchmarks.control_work import ROUNDS, Spent, least, measure
from tests.simulation.stages import JOB


def test_every_round_is_timed() -> None:
    rounds = measure(3)
    assert len(rounds) == ROUNDS
    assert all(0 < sum(one.payload_s) < sum(one.all_s) for one in rounds)
    # Of each step an offer, a chunk at least and the server's answer.
    assert all(one.events > 3 * 3 * JOB.training.local_steps for one in rounds)


def test_what_payloads_take_is_no_control_work() -> None:
    assert Spent([2.0, 1.0], [0.5, 0.25], 30).control_s == 2.25


def test_of_twins_that_are_told_the_same_the_least_counts_batch_by_batch() -> None:
    assert least([[3.0, 1.0], [2.0, 4.0], [2.5, 2.0]]) == [2.0, 1.0]
