"""What the coordinator's machine does about boards that are not there, event by event."""

from __future__ import annotations

import attrs
import pytest

from coordinator.membership import FIRST_REST_S, LOSSES_BORNE, Member
from coordinator.policy import Policy
from coordinator.tasks import CloseRound, Prepare, Served, ServeStep
from runtime.config_rules import Rejected
from runtime.effects import Submit
from runtime.events import Finished
from runtime.letters import Refusal, RoundResult, Step
from runtime.machine_effects import CloseSession, MachineEffect, OpenSession
from runtime.machine_events import Heard, Seen, Silent
from runtime.presence import CoordinatorPresence
from tests.machines.coordinating import (
    ONE,
    STEPS,
    TWO,
    Coordinating,
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
