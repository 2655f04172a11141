"""What the coordinator's machine does about boards that are not there, event by event."""

from __future__ import annotations

from typing import Literal

import attrs
import pytest

from coordinator.machine import FAILURES_ALLOWED
from coordinator.membership import FIRST_REST_S, LOSSES_BORNE, Member
from coordinator.policy import Policy
from coordinator.tasks import Closed, CloseRound, OpenRound, Prepare, Served, ServeStep
from runtime.config_rules import Rejected
from runtime.effects import Submit
from runtime.events import Finished
from runtime.exits import Exit
from runtime.ids import DeviceId
from runtime.letters import Refusal, RoundResult, Step
from runtime.machine_effects import CloseSession, MachineEffect, OpenSession
from runtime.machine_events import Heard, Seen, Silent
from runtime.presence import CoordinatorPresence
from tests.machines.coordinating import (
    ONE,
    STEPS,
    TWO,
    Coordinating,
    begun,
    birth,
    drops,
    events,
    halts,
    of,
    tasks,
)

DROP = Policy(lost="drop")


def dropping(policy: Policy = DROP) -> Coordinating:
    made = Coordinating(ONE, TWO)
    made.state = attrs.evolve(made.state, policy=policy)
    for device in (ONE, TWO):
        made.on(Seen(birth(device)))
    return made


def train(made: Coordinating) -> list[MachineEffect]:
    """Trains the first board's part."""
    attempt = made.prepared(ONE).attempt
    for step in range(STEPS):
        made.step(attempt, step)
    return made.come_home(attempt)


def refuse(made: Coordinating, device: DeviceId = TWO) -> list[MachineEffect]:
    """Lets a board refuse its part until nobody asks it again; returns what the last one did."""
    for _ in range(FAILURES_ALLOWED):
        attempt = made.prepared(device).attempt
        effects = made.receive(Refusal("run", attempt, "too big"), device)
    return effects


class TestDropping:
    def test_the_round_closes_with_those_that_are_left(self) -> None:
        made = dropping()
        made.prepared(TWO)
        assert events(made.on(Silent(TWO))) == ["lost", "device dropped"]
        assert tasks(train(made), CloseRound)[0].devices == (ONE,)
        assert dict(tasks(made.effects, CloseRound)[0].positions)[TWO] == 0

    def test_a_will_alone_drops_nobody(self) -> None:
        made = dropping()
        made.prepared(TWO)
        assert events(made.on(Seen(birth(TWO, status="lost")))) == ["lost"]
        made.on(Seen(birth(TWO)))
        assert tasks(train(made), CloseRound) == []

    def test_what_comes_late_is_stale(self) -> None:
        made = dropping()
        attempt = made.prepared(TWO).attempt
        made.on(Silent(TWO))
        made.on(Heard(TWO))
        before = made.state
        for letter in (
            Step("run", attempt, 0, 0, {}),
            RoundResult("run", attempt, 8, {}),
            Refusal("run", attempt, "no"),
        ):
            assert len(drops(made.receive(letter, TWO))) == 1
        assert made.state == before

    def test_the_round_does_not_close_while_the_server_works_for_a_dropped_board(self) -> None:
        made = dropping()
        attempt = made.prepared(TWO).attempt
        serve = tasks(made.receive(Step("run", attempt, 0, 0, {}), TWO), ServeStep)[0]
        made.on(Silent(TWO))
        assert tasks(train(made), CloseRound) == []
        assert tasks(made.on(Finished(serve, Served({}, 0.5))), CloseRound) != []

    def test_a_result_that_is_with_us_is_kept(self) -> None:
        made = dropping()
        train(made)
        assert events(made.on(Silent(ONE))) == ["lost"]
        assert made.state.duties[ONE].phase == "returned"

    def test_a_round_that_is_short_calls_back(self) -> None:
        made = dropping(attrs.evolve(DROP, quorum=2))
        made.prepared(TWO)
        made.on(Silent(TWO))
        assert tasks(train(made), CloseRound) == []
        again = tasks(made.on(Heard(TWO)), Prepare)[0]
        assert (again.assignment.device, again.attempt.number) == (TWO, 2)

    def test_under_wait_silence_changes_nothing(self) -> None:
        made = dropping(Policy())
        made.prepared(TWO)
        assert events(made.on(Silent(TWO))) == ["lost"]
        assert made.state.standing(TWO) == "lost"
        assert events(made.on(Heard(TWO))) == ["online"]
        assert made.state.standing(TWO) == "training"


class TestGivingUp:
    """Boards that fail at a round as often as they may, where rounds go on without them."""

    @pytest.mark.parametrize("is_home", [False, True])
    def test_the_run_ends_when_no_quorum_is_left(self, is_home: bool) -> None:
        made = dropping(attrs.evolve(DROP, quorum=2))
        if is_home:
            train(made)
        (halt,) = halts(refuse(made))
        assert halt.code is Exit.FLEET
        assert halt.reason == (
            "board-2 failed 5 times in round 1: board-2 refuses the round: too big; "
            "without it there is no quorum of 2: mend it and resume"
        )

    def test_a_board_alone_is_not_asked_for_ever(self) -> None:
        made = begun(ONE)
        made.state = attrs.evolve(made.state, policy=DROP)
        assert [one.code for one in halts(refuse(made, ONE))] == [Exit.FLEET]

    def test_one_that_nobody_is_left_of_is_made_again_with_others(self) -> None:
        made = dropping()
        made.prepared(ONE)
        made.on(Silent(ONE))
        effects = refuse(made)
        assert events(effects) == ["device dropped", "round made again"]
        assert tasks(effects, OpenRound) == []
        (opened,) = tasks(made.on(Heard(ONE)), OpenRound)
        assert [one.device for one in opened.plan.assignments] == [ONE]
        assert TWO not in opened.plan.counted_on, "a run that is resumed does not wait for it"

    def test_its_failures_do_not_count_in_the_next_round(self) -> None:
        made = dropping()
        refuse(made)
        (close,) = tasks(train(made), CloseRound)
        (opened,) = tasks(made.on(Finished(close, Closed(0.5, 1.0, "hash"))), OpenRound)
        assert [one.device for one in opened.plan.assignments] == [ONE, TWO]

    def test_a_new_life_does_not_bring_it_back_into_the_round(self) -> None:
        made = dropping()
        refuse(made)
        assert tasks(made.on(Seen(birth(TWO, 2))), Prepare) == []
        assert tasks(train(made), CloseRound)[0].devices == (ONE,)

    @pytest.mark.parametrize("word", ["lost", "left"])
    def test_the_wait_for_others_has_its_limit(self, word: Literal["lost", "left"]) -> None:
        made = dropping_three(attrs.evolve(DROP, quorum=2, wait_limit_s=10.0))
        made.on(Seen(birth(THREE, status=word)))
        if word == "lost":
            made.on(Silent(THREE))
        train(made)
        assert halts(refuse(made)) == []
        assert halts(made.after(1.0)) == []
        (halt,) = halts(made.after(10.0))
        assert halt.reason == f"round 1 waited 10 s for board-3 ({word})"

    def test_so_has_the_wait_for_one_that_never_came(self) -> None:
        made = dropping_three(attrs.evolve(DROP, quorum=2, wait_limit_s=10.0), THREE)
        train(made)
        refuse(made)
        made.after(1.0)
        (halt,) = halts(made.after(10.0))
        assert halt.reason == "round 1 waited 10 s for board-3 (absent)"

    def test_with_one_that_comes_the_round_is_made_again(self) -> None:
        made = dropping_three(attrs.evolve(DROP, quorum=2), THREE)
        train(made)
        refuse(made)
        (opened,) = tasks(made.on(Seen(birth(THREE))), OpenRound)
        assert [one.device for one in opened.plan.assignments] == [ONE, THREE]


THREE = DeviceId("board-3")


def dropping_three(policy: Policy, *absent: DeviceId) -> Coordinating:
    made = Coordinating(ONE, TWO, THREE)
    made.state = attrs.evolve(made.state, policy=policy, due=frozenset({ONE, TWO}))
    for device in (THREE, TWO, ONE):
        if device not in absent:
            made.on(Seen(birth(device)))
    return made


class TestLeaving:
    @pytest.mark.parametrize("policy", [DROP, Policy()])
    def test_the_round_goes_on_at_once_and_bandwidth_is_free(self, policy: Policy) -> None:
        made = dropping(policy)
        made.prepared(TWO)
        effects = made.on(Seen(birth(TWO, status="left")))
        assert of(effects, CloseSession) == [CloseSession(TWO)]
        assert events(effects) == ["left", "device dropped"]
        assert tasks(train(made), CloseRound)[0].devices == (ONE,)

    def test_its_last_words_do_not_call_it_back(self) -> None:
        made = dropping()
        made.on(Seen(birth(TWO, status="left")))
        assert made.on(Seen(birth(TWO))) == []
        assert of(made.on(Seen(birth(TWO, 2))), OpenSession) != []


class TestContests:
    def test_an_earlier_life_that_speaks_is_told(self) -> None:
        made = dropping()
        made.on(Seen(birth(TWO, 4)))
        effects = made.on(Seen(birth(TWO, 3)))
        assert events(effects) == ["contested"]
        assert of(effects, Submit) == []

    def test_so_is_a_second_coordinator(self) -> None:
        effects = dropping().on(Seen(CoordinatorPresence(6, "online")))
        assert events(effects) == ["contested"]
        assert len(halts(effects)) == 1


def test_rests_grow() -> None:
    member, now = Member(birth()), 0.0
    rests = []
    for _ in range(2 * LOSSES_BORNE):
        member = member.heard(True, now)
        if member.rests_until_s is not None:
            rests.append(member.rests_until_s - now)
        member = attrs.evolve(member.heard(False, now + 1), rests_until_s=None)
        now += 10.0
    assert rests == [FIRST_REST_S, 2 * FIRST_REST_S]


@pytest.mark.parametrize(("quorum", "least"), [(1, 1), (3, 3), (0.5, 5), (0.51, 6), (0.01, 1)])
def test_a_quorum_is_a_number_or_a_part(quorum: float, least: int) -> None:
    assert Policy(quorum=quorum).least(10) == least


@pytest.mark.parametrize("quorum", [0, -1, 1.5])
def test_other_quorums_are_refused(quorum: float) -> None:
    with pytest.raises(Rejected):
        Policy(quorum=quorum)
