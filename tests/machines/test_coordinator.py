"""The coordinator's machine, event by event."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.machine import FAILURES_ALLOWED
from coordinator.tasks import Collect, OpenRound, Prepare, ServeStep
from runtime.effects import Record
from runtime.events import Failed, Finished, Started, StopAsked
from runtime.exits import Exit
from runtime.frames import Session
from runtime.letters import AttemptKey, Gradient, Refusal, RoundOrder, RoundResult, Step
from runtime.machine_effects import Announce, OpenSession
from runtime.machine_events import Seen, Unwelcome
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
    letters,
    of,
    tasks,
)


class TestGathering:
    def test_waits_for_all_devices_of_the_plan(self) -> None:
        made = Coordinating(ONE, TWO)
        assert tasks(made.on(Seen(birth(ONE))), Prepare) == []
        prepared = tasks(made.on(Seen(birth(TWO))), Prepare)
        assert [task.assignment.device for task in prepared] == [ONE, TWO]

    def test_the_plan_is_on_record_before_anything_follows(self) -> None:
        made = begun(ONE)
        planned = next(i for i, e in enumerate(made.effects)
                       if isinstance(e, Record) and e.stream == "plans")  # fmt: skip
        assert tasks(made.effects[:planned], Prepare) == []
        assert tasks(made.effects[planned:], Prepare) != []

    @pytest.mark.parametrize(
        ("changes", "word"),
        [
            ({"samples": 0}, "no samples"),
            ({"codecs": ("int8",)}, "codec fp32"),
            ({"optimisers": ("adam",)}, "optimiser sgd"),
        ],
    )
    def test_a_device_that_cannot_do_its_part_is_refused_with_the_reason(
        self, changes: dict[str, Any], word: str
    ) -> None:
        made = Coordinating(ONE)
        effects = made.on(Seen(birth(ONE, **changes)))
        assert events(effects) == ["refused"]
        assert word in of(effects, Record)[0].entry["reason"]
        assert of(effects, OpenSession) == []
        assert of(made.on(Seen(birth(ONE))), OpenSession) != [], "it may come back mended"

    def test_strangers_are_refused_once(self) -> None:
        made = begun(ONE)
        effects = made.on(Seen(birth(TWO)))
        assert events(effects) == ["refused"]
        assert made.state.standing(TWO) == "refused"
        assert of(effects, OpenSession) == []
        assert made.on(Seen(birth(TWO))) == []

    def test_a_birth_that_is_repeated_opens_no_second_session(self) -> None:
        made = begun(ONE)
        assert made.on(Seen(birth(ONE))) == []

    def test_a_will_that_comes_before_its_birth_does_not_hide_the_birth(self) -> None:
        for made in (Coordinating(ONE), begun(ONE)):
            made.on(Seen(birth(ONE, 2, status="lost")))
            effects = made.on(Seen(birth(ONE, 2)))
            assert of(effects, OpenSession) == [OpenSession(ONE, Session(5, 2))]
            assert made.state.duties[ONE].phase == "preparing"

    def test_a_flood_of_births_prepares_one_attempt(self) -> None:
        made = begun(ONE)
        floods = [made.on(Seen(birth(ONE, life))) for life in range(2, 100)]
        assert [task for effects in floods for task in tasks(effects, Prepare)] == []

    def test_a_late_will_of_an_earlier_life_changes_nothing(self) -> None:
        made = begun(ONE)
        made.on(Seen(birth(ONE, 2)))
        before = made.state
        assert made.on(Seen(birth(ONE, 1, status="lost"))) == []
        assert made.state == before


class TestRound:
    def test_trains_closes_and_goes_on_to_the_end(self) -> None:
        made = begun(ONE)
        made.whole_round()
        assert made.state.round == 2
        assert made.state.positions == {ONE: 4 * STEPS}
        last = made.whole_round()
        assert [halt.code for halt in halts(last)] == [Exit.OK]
        assert of(last, Announce)[0].presence.status == "finished"
        assert made.on(Started()) == [], "what is finished stays so"

    def test_the_order_names_position_and_attempt(self) -> None:
        made = begun(ONE)
        first = made.prepared()
        assert (first.attempt, first.position) == (AttemptKey(1, 1), 0)
        for step in range(STEPS):
            made.step(first.attempt, step)
        made.come_home(first.attempt)
        assert made.state.stage == "closing"

    @pytest.mark.parametrize(
        "letter",
        [
            Step("other", AttemptKey(1, 1), 0, 0, {}),
            Step("run", AttemptKey(1, 2), 0, 0, {}),
            Step("run", AttemptKey(2, 1), 0, 0, {}),
            Step("run", AttemptKey(1, 1), 1, 0, {}),
            Step("run", AttemptKey(1, 1), 0, 1, {}),
            RoundResult("run", AttemptKey(1, 1), 8, {}),
            Refusal("run", AttemptKey(1, 2), "no"),
            Gradient("run", AttemptKey(1, 1), 0, 0, {}),
        ],
    )
    def test_a_letter_out_of_place_is_noted_and_changes_nothing(self, letter: Any) -> None:
        made = begun(ONE)
        made.prepared()
        before = made.state
        effects = made.receive(letter)
        assert drops(effects)
        assert len(effects) == 1
        assert made.state == before

    def test_a_duplicate_step_is_served_once(self) -> None:
        made = begun(ONE)
        step = Step("run", made.prepared().attempt, 0, 0, {})
        assert len(tasks(made.receive(step), ServeStep)) == 1
        assert tasks(made.receive(step), ServeStep) == []

    def test_letters_of_a_device_without_duty_are_stale(self) -> None:
        made = Coordinating(ONE, TWO)
        assert drops(made.receive(Step("run", AttemptKey(1, 1), 0, 0, {})))


class TestRecovery:
    def test_a_restarted_device_begins_a_new_attempt_from_the_same_position(self) -> None:
        made = begun(ONE)
        old = made.prepared()
        made.step(old.attempt, 0)
        effects = made.on(Seen(birth(ONE, 2)))
        assert of(effects, OpenSession) == [OpenSession(ONE, Session(5, 2))]
        new = made.prepared()
        assert (new.attempt, new.position) == (AttemptKey(1, 2), old.position)
        assert drops(made.receive(Step("run", old.attempt, 1, 0, {})))

    def test_work_of_an_abandoned_attempt_is_dropped(self) -> None:
        made = begun(ONE)
        serve = tasks(made.receive(Step("run", made.prepared().attempt, 0, 0, {})), ServeStep)[0]
        made.on(Seen(birth(ONE, 2)))
        assert made.on(Finished(serve, None)) == []
        assert made.on(Failed(serve, "late")) == []

    def test_a_device_that_is_home_is_not_asked_again(self) -> None:
        made = begun(ONE, TWO)
        order = made.prepared(ONE)
        for step in range(STEPS):
            made.step(order.attempt, step)
        made.come_home(order.attempt)
        assert tasks(made.on(Seen(birth(ONE, 2))), Prepare) == []

    def test_a_lost_device_is_waited_for(self) -> None:
        made = begun(ONE)
        attempt = made.prepared().attempt
        assert halts(made.on(Seen(birth(ONE, status="lost")))) == []
        assert tasks(made.on(Seen(birth(ONE))), Prepare) == [], "the same life goes on"
        made.step(attempt, 0)

    def test_failures_are_tried_again_and_counted(self) -> None:
        made = begun(ONE)
        for number in range(1, FAILURES_ALLOWED):
            assert events(made.fail())[0] == "attempt failed"
            assert made.state.duties[ONE].attempt == AttemptKey(1, number + 1)
        halt = halts(made.fail("still broken"))[0]
        assert halt.code == Exit.FLEET
        assert "still broken" in halt.reason
        assert ONE in halt.reason

    @pytest.mark.parametrize("by", ["refusal", "unwelcome", "collect"])
    def test_whatever_ends_an_attempt_begins_the_next(self, by: str) -> None:
        made = begun(ONE)
        attempt = made.prepared().attempt
        if by == "refusal":
            effects = made.receive(Refusal("run", attempt, "too big"))
        elif by == "unwelcome":
            effects = made.on(Unwelcome(ONE, RoundOrder, "too large"))
        else:
            for step in range(STEPS):
                made.step(attempt, step)
            home = tasks(made.receive(RoundResult("run", attempt, 8, {})), Collect)[0]
            effects = made.on(Failed(home, "another layer state"))
        assert tasks(effects, Prepare)[0].attempt == AttemptKey(1, 2)

    def test_failures_of_one_round_do_not_count_in_the_next(self) -> None:
        made = begun(ONE)
        made.fail()
        made.whole_round()
        assert made.state.duties[ONE].failures == 0

    def test_a_round_that_cannot_be_prepared_ends_the_run(self) -> None:
        made = begun(ONE)
        prepare = tasks(made.effects, Prepare)[0]
        assert halts(made.on(Failed(prepare, "no lowering", Exit.MODEL)))[0].code == Exit.MODEL

    def test_a_device_restarted_while_the_round_opens_is_served_in_its_new_session(self) -> None:
        made = Coordinating(ONE)
        made.opens_at_once = False
        opening = tasks(made.on(Seen(birth(ONE))), OpenRound)[0]
        assert of(made.on(Seen(birth(ONE, 2))), OpenSession) == [OpenSession(ONE, Session(5, 2))]
        made.on(Finished(opening, None))
        assert made.prepared().attempt == AttemptKey(1, 1)


class TestOthers:
    def test_a_later_coordinator_takes_over(self) -> None:
        made = begun(ONE)
        assert halts(made.on(Seen(CoordinatorPresence(6, "online"))))[0].code == Exit.SUPERSEDED
        assert made.on(Seen(birth(ONE, 2))) == []

    @pytest.mark.parametrize(
        "late", [CoordinatorPresence(4, "lost"), CoordinatorPresence(4, "online"),
                 CoordinatorPresence(5, "lost")],
    )  # fmt: skip
    def test_a_late_word_is_put_right(self, late: CoordinatorPresence) -> None:
        made = begun(ONE)
        assert made.on(Seen(late)) == [Announce(CoordinatorPresence(5, "online", "run"))]

    def test_our_own_birth_is_no_news(self) -> None:
        assert begun(ONE).on(Seen(CoordinatorPresence(5, "online", "run"))) == []

    def test_stops_when_asked(self) -> None:
        effects = begun(ONE).on(StopAsked())
        assert halts(effects)[0].code == Exit.OK
        assert of(effects, Announce)[0].presence.status == "left"
        assert letters(effects, RoundOrder) == []
