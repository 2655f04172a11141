"""The stopwatch's twins live through the same rounds as the coordinator that they are told of."""

from __future__ import annotations

from benchmarks.control_work import ROUNDS, Spent, measure
from tests.simulation.stages import JOB


def test_every_round_is_timed() -> None:
    rounds = measure(3)
    assert len(rounds) == ROUNDS
    assert all(0 < one.payload_s < one.all_s for one in rounds)
    # Of each step an offer, a chunk at least and the server's answer.
    assert all(one.events > 3 * 3 * JOB.training.local_steps for one in rounds)


def test_a_round_is_what_came_since_the_one_before() -> None:
    spent = Spent(3.0, 1.0, 30).since(Spent(1.0, 0.5, 10))
    assert spent == Spent(2.0, 0.5, 20)
    assert spent.control_s == 1.5
