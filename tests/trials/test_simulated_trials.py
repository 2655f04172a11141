"""Timelines in the simulated world: deterministic, with the effect that arithmetic foretells."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve

from coordinator.policy import Policy
from coordinator.timeline import Incident
from tests.simulation.stages import JOB, Performance, board, perform

ROUNDS = 8
LONG = evolve(JOB, job=evolve(JOB.training, rounds=ROUNDS, local_steps=4))
BOARDS = (board("a", up=20.0, step_s=0.05), board("b", up=20.0, step_s=0.05))


def _play(*timeline: Incident) -> Performance:
    return perform(BOARDS, job=LONG, timeline=timeline)


def _events(played: Performance, *kinds: str) -> list[dict[str, Any]]:
    return [one for one in played.events if one["event"] in kinds]


def _attempts(played: Performance, device: str) -> list[int]:
    return [one["devices"][device]["attempt"] for one in played.rounds]


def test_a_slow_board_takes_as_many_times_its_compute_from_its_round_on() -> None:
    played = _play(Incident("slow", "a", round=3, for_rounds=2, times=4.0))
    computed = [played.term("a", "compute_s", round) for round in range(1, ROUNDS + 1)]
    assert computed == pytest.approx([0.2, 0.2, 0.8, 0.8, 0.2, 0.2, 0.2, 0.2])


def test_a_throttled_link_takes_as_many_times_its_transfers() -> None:
    plain = _play()
    played = _play(Incident("throttle", "a", round=3, for_rounds=2, uplink_mbps=4.0))
    links = [played.term("a", "link_s", round) for round in (2, 3, 4, 5)]
    # The downlink of 20 Mbit/s stays as it was.
    assert links[1] == pytest.approx(plain.term("a", "link_s", 3) * 3, rel=0.25)
    assert links[2] == pytest.approx(links[1], rel=0.1)
    assert links[3] == pytest.approx(links[0], rel=0.1)
    again = _play(Incident("throttle", "a", round=3, for_rounds=2, times=5.0))
    assert again.term("a", "link_s", 4) > links[2]


def test_a_killed_board_repeats_its_part_of_the_round() -> None:
    played = _play(Incident("kill", "a", round=3, for_s=2.0))
    assert _attempts(played, "a") == [1, 1, 2, 1, 1, 1, 1, 1]
    assert _attempts(played, "b") == [1] * ROUNDS
    told = [(one["event"], one["incarnation"]) for one in _events(played, "online", "lost")[2:]]
    assert told == [("lost", 1), ("online", 2)]
    assert played.duration_s(3) > 2.0


def test_a_board_that_leaves_is_done_without_until_it_comes_back() -> None:
    played = _play(Incident("leave", "b", round=3, for_rounds=2))
    (left,) = _events(played, "left")
    assert left["device"] == "b"
    # It brings the round home in which it is asked to go.
    assert [sorted(one["devices"]) for one in played.rounds[3:5]] == [["a"], ["a"]]
    assert [sorted(one["devices"]) for one in played.rounds[6:]] == [["a", "b"], ["a", "b"]]


def test_a_board_may_come_later() -> None:
    played = _play(Incident("join", "b", at_s=2.5))
    online = {one["device"]: one["simulated_s"] for one in _events(played, "online")}
    assert online["b"] == pytest.approx(2.5, abs=0.1)


def test_a_fleet_may_begin_without_the_board_that_joins_in_a_later_round() -> None:
    job = evolve(LONG, policy=Policy(quorum=1, gather_limit_s=1.0))
    played = perform(BOARDS, job=job, timeline=[Incident("join", "b", round=3)])
    assert [sorted(one["devices"]) for one in played.rounds[:3]] == [["a"]] * 3
    assert sorted(played.rounds[4]["devices"]) == ["a", "b"]


def test_a_short_silence_loses_nothing_and_a_longer_one_no_more_than_time() -> None:
    short = _play(Incident("cut", "a", round=3, for_s=2.0))
    assert _events(short, "lost") == []
    assert 2.0 < short.duration_s(3) < 4.0
    assert _attempts(short, "a") == [1] * ROUNDS
    long = _play(Incident("cut", "a", round=3, for_s=40.0))
    lost, (cut, over) = _events(long, "lost")[0], _events(long, "trial")
    assert 3.0 < lost["simulated_s"] - cut["simulated_s"] < 5.5
    assert (cut["over"], over["over"]) == (False, True)
    assert _attempts(long, "a") == [1] * ROUNDS
    assert long.duration_s(3) > 40.0


def test_a_board_that_is_killed_behind_a_silent_link_comes_when_it_speaks() -> None:
    played = _play(
        Incident("cut", "a", round=2, for_s=20.0), Incident("kill", "a", round=2, for_s=5.0)
    )
    assert _attempts(played, "a")[1] == 2
    assert played.duration_s(2) > 20.0


def test_a_killed_coordinator_repeats_its_round_and_forgets_none() -> None:
    played = _play(Incident("kill", process="coordinator", round=4, for_s=3.0))
    assert [one["round"] for one in played.rounds] == list(range(1, ROUNDS + 1))
    assert [one["round"] for one in played.notes.streams["plans"]] == list(range(1, ROUNDS + 1))
    online = [one for one in _events(played, "online") if one["simulated_s"] > 3.0]
    assert {one["device"] for one in online} == {"a", "b"}


def test_a_killed_broker_is_found_again() -> None:
    played = _play(Incident("kill", process="broker", round=4, for_s=3.0))
    assert _events(played, "link down")
    assert [one["round"] for one in played.rounds] == list(range(1, ROUNDS + 1))
    assert _attempts(played, "a") == [1] * ROUNDS


def test_the_same_timeline_gives_the_same_record() -> None:
    timeline = (
        Incident("join", "b", at_s=1.0),
        Incident("throttle", "a", round=2, for_rounds=2, times=5.0),
        Incident("kill", "a", round=4, for_s=1.0),
        Incident("cut", "b", round=5, for_s=20.0),
        Incident("kill", process="coordinator", round=6, for_s=2.0),
        Incident("kill", process="broker", round=7, for_s=2.0),
    )
    one, two = (_play(*timeline) for _ in range(2))
    # As text, in which one NaN is like another.
    assert json.dumps(one.notes.streams) == json.dumps(two.notes.streams)
    assert len(_events(one, "trial")) == 11
