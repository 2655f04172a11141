"""The agent's machine, event by event."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from device_agent.machine import AgentState, react
from device_agent.tasks import (
    Backward,
    Begin,
    FindProgram,
    Finish,
    Forward,
    StoreProgram,
    Trained,
)
from runtime.effects import Halt, Submit
from runtime.events import Failed, Finished, Started, StopAsked, Tick
from runtime.exits import Exit
from runtime.frames import Session
from runtime.ids import COORDINATOR
from runtime.letters import (
    AttemptKey,
    DeviceReport,
    Gradient,
    Letter,
    ProgramDelivery,
    ProgramRequest,
    Refusal,
    RoundOrder,
    RoundResult,
    Step,
)
from runtime.machine_effects import Announce, Drop, MachineEffect, OpenSession, Send
from runtime.machine_events import Delivered, Heard, MachineEvent, Received, Seen, Silent
from runtime.optimisers import OptimiserSpec
from runtime.presence import CoordinatorPresence
from runtime.recipe import Recipe
from runtime.schedules import ScheduleSpec
from tests.machines.coordinating import birth, drops, events, halts, letters, of

BIRTH = birth(incarnation=3)


def order(number: int = 1, round: int = 1, run: str = "run", micro_batches: int = 2) -> RoundOrder:
    recipe = Recipe(1, 5, 2, OptimiserSpec("sgd", lr=0.1), ScheduleSpec())
    return RoundOrder(
        run, AttemptKey(round, number), "digest", "middle", 4, micro_batches, 0, "fp32", "fp32",
        recipe, {},
    )  # fmt: skip


class Agent:
    """Feeds events; `task` is what the worker was asked last."""

    def __init__(self) -> None:
        self.state = AgentState(BIRTH)
        self.task: Any = None
        self.on(Seen(CoordinatorPresence(5, "online", "run")))

    def on(self, event: MachineEvent) -> list[MachineEffect]:
        self.state, effects = react(self.state, event, 1.0)
        for effect in of(effects, Submit):
            self.task = effect.task
        return effects

    def receive(self, letter: Letter) -> list[MachineEffect]:
        return self.on(Received(COORDINATOR, letter))

    def done(self, result: Any = None) -> list[MachineEffect]:
        return self.on(Finished(self.task, result))

    def until_waiting(self) -> Step:
        """From a new order to the first step that goes out."""
        self.receive(order())
        self.done(True)
        self.done()
        return letters(self.done({}), Step)[0]

    def gradient(self, step: int, micro_batch: int, attempt: AttemptKey | None = None) -> Gradient:
        return Gradient("run", attempt or AttemptKey(1, 1), step, micro_batch, {})


class TestPresence:
    @pytest.mark.parametrize("event", [Started(), Tick()])
    def test_announces_itself_again_and_again(self, event: MachineEvent) -> None:
        _, effects = react(AgentState(BIRTH), event, 1.0)
        assert of(effects, Announce) == [Announce(BIRTH)]

    def test_follows_a_coordinator_and_tells_it_so(self) -> None:
        _, effects = react(AgentState(BIRTH), Seen(CoordinatorPresence(5, "online")), 1.0)
        assert of(effects, OpenSession) == [OpenSession(COORDINATOR, Session(5, 3))]
        assert of(effects, Announce) == [Announce(BIRTH)]

    @pytest.mark.parametrize(
        "presence",
        [CoordinatorPresence(5, "online"), CoordinatorPresence(4, "online"),
         CoordinatorPresence(9, "lost"), CoordinatorPresence(9, "finished")],
    )  # fmt: skip
    def test_follows_no_other(self, presence: CoordinatorPresence) -> None:
        agent = Agent()
        agent.receive(order())
        before = agent.state
        assert agent.on(Seen(presence)) == []
        assert agent.state == before

    def test_a_later_coordinator_voids_the_work_in_hand(self) -> None:
        agent = Agent()
        agent.until_waiting()
        agent.on(Seen(CoordinatorPresence(6, "online")))
        assert agent.state.work is None
        agent.receive(order())
        assert isinstance(agent.task, FindProgram), "the same attempt is news in a new session"

    def test_a_later_start_of_the_same_device_takes_over(self) -> None:
        effects = Agent().on(Seen(attrs.evolve(BIRTH, incarnation=4)))
        assert [halt.code for halt in halts(effects)] == [Exit.SUPERSEDED]

    @pytest.mark.parametrize(
        "late", [attrs.evolve(BIRTH, incarnation=2, status="lost"),
                 attrs.evolve(BIRTH, incarnation=2), attrs.evolve(BIRTH, status="lost")],
    )  # fmt: skip
    def test_a_late_word_is_put_right(self, late: Any) -> None:
        assert Agent().on(Seen(late)) == [Announce(BIRTH)]

    def test_our_own_birth_is_no_news(self) -> None:
        assert Agent().on(Seen(BIRTH)) == []

    def test_says_farewell_when_asked_to_stop_without_work(self) -> None:
        farewell, halt = Agent().on(StopAsked())
        assert farewell == Announce(attrs.evolve(BIRTH, status="left"))
        assert isinstance(halt, Halt) and halt.code == Exit.OK


class TestLeaving:
    def leaving(self) -> Agent:
        agent = Agent()
        agent.until_waiting()
        effects = agent.on(StopAsked())
        assert [one.presence for one in of(effects, Announce)] == [
            attrs.evolve(BIRTH, leaving=True)
        ]
        assert halts(effects) == []
        return agent

    def test_brings_the_round_home_first(self) -> None:
        agent = self.leaving()
        for place in ((0, 0), (0, 1), (1, 0), (1, 1)):
            agent.receive(agent.gradient(*place))
            agent.done()
            if place != (1, 1):
                agent.done({})
        home = agent.done(Trained(16, {}, DeviceReport()))
        assert letters(home, RoundResult) and halts(home) == []
        gone = agent.on(Delivered(COORDINATOR))
        assert of(gone, Announce)[0].presence.status == "left"
        assert halts(gone)[0].code == Exit.OK

    def test_leaves_at_once_when_asked_twice(self) -> None:
        assert halts(self.leaving().on(StopAsked()))[0].code == Exit.OK

    def test_leaves_when_its_time_is_over(self) -> None:
        agent = self.leaving()
        assert halts(agent.on(Tick())) == []
        agent.state, effects = react(agent.state, Tick(), 31.0)
        assert halts(effects)[0].code == Exit.OK

    @pytest.mark.parametrize(
        "event", [Silent(COORDINATOR), Seen(CoordinatorPresence(5, "left")),
                  Seen(CoordinatorPresence(6, "online")), Received(COORDINATOR, order(2))],
    )  # fmt: skip
    def test_leaves_when_nobody_waits_for_its_result(self, event: MachineEvent) -> None:
        assert halts(self.leaving().on(event))[0].code == Exit.OK

    def test_hands_back_at_once_what_would_take_too_long(self) -> None:
        agent = Agent()
        agent.until_waiting()
        for place in ((0, 0), (0, 1)):
            agent.receive(agent.gradient(*place))
            agent.done()
            agent.done({})
        agent.state, effects = react(agent.state, StopAsked(), 40.0)
        assert halts(effects)[0].code == Exit.OK, "one step took 39 s, one is left"

    def test_a_coordinator_that_falls_silent_is_noted_and_waited_for(self) -> None:
        agent = Agent()
        step = agent.until_waiting()
        assert events(agent.on(Silent(COORDINATOR))) == ["coordinator silent"]
        assert events(agent.on(Heard(COORDINATOR))) == ["coordinator heard"]
        agent.receive(agent.gradient(step.step, step.micro_batch))
        assert isinstance(agent.task, Backward)


class TestRound:
    def test_a_whole_round_in_order(self) -> None:
        agent = Agent()
        agent.receive(order())
        assert agent.task == FindProgram("digest")
        assert letters(agent.done(False), ProgramRequest) == [ProgramRequest("digest")]
        agent.receive(ProgramDelivery("digest", b"program"))
        assert agent.task == StoreProgram("digest", b"program")
        agent.done()
        assert isinstance(agent.task, Begin)
        agent.done()
        places = []
        for _ in range(4):
            assert isinstance(agent.task, Forward)
            step = letters(agent.done({}), Step)[0]
            places.append((step.step, step.micro_batch))
            agent.receive(agent.gradient(*places[-1]))
            assert isinstance(agent.task, Backward)
            agent.done()
        assert places == [(0, 0), (0, 1), (1, 0), (1, 1)]
        assert isinstance(agent.task, Finish)
        home = letters(agent.done(Trained(16, {}, DeviceReport())), RoundResult)[0]
        assert (home.samples, home.attempt) == (16, AttemptKey(1, 1))
        assert agent.state.work is None

    def test_a_program_in_the_cache_is_not_asked_for(self) -> None:
        agent = Agent()
        agent.receive(order())
        assert letters(agent.done(True), ProgramRequest) == []
        assert isinstance(agent.task, Begin)


class TestStale:
    @pytest.mark.parametrize(
        ("step", "micro_batch", "attempt"),
        [(1, 0, None), (0, 1, None), (0, 0, AttemptKey(1, 2)), (0, 0, AttemptKey(2, 1))],
    )
    def test_a_gradient_out_of_place_is_noted_and_changes_nothing(
        self, step: int, micro_batch: int, attempt: AttemptKey | None
    ) -> None:
        agent = Agent()
        agent.until_waiting()
        before = agent.state
        effects = agent.receive(agent.gradient(step, micro_batch, attempt))
        assert drops(effects) and len(effects) == 1
        assert agent.state == before

    def test_a_gradient_of_another_run_is_dropped(self) -> None:
        agent = Agent()
        agent.until_waiting()
        foreign = attrs.evolve(agent.gradient(0, 0), run="other")
        assert drops(agent.receive(foreign))

    def test_a_gradient_is_taken_once(self) -> None:
        agent = Agent()
        agent.until_waiting()
        assert of(agent.receive(agent.gradient(0, 0)), Submit) != []
        assert of(agent.receive(agent.gradient(0, 0)), Submit) == []

    @pytest.mark.parametrize(
        "late", [order(2, 3), order(1, 3), order(9, 2)], ids=["same", "number", "round"]
    )
    def test_an_order_that_is_not_newer_is_dropped(self, late: RoundOrder) -> None:
        agent = Agent()
        agent.receive(order(2, 3))
        before = agent.state
        assert drops(agent.receive(late))
        assert agent.state == before

    @pytest.mark.parametrize("newer", [order(2, 1), order(1, 2), order(1, 1, "other run")])
    def test_a_newer_order_takes_over_at_once(self, newer: RoundOrder) -> None:
        agent = Agent()
        agent.until_waiting()
        forward = Forward(AttemptKey(1, 1), 0, 0)
        agent.receive(newer)
        assert agent.task == FindProgram("digest")
        before = agent.state
        assert agent.on(Finished(forward, {})) == []
        assert agent.on(Failed(forward, "late")) == []
        assert agent.state == before

    @pytest.mark.parametrize(
        "letter",
        [
            ProgramDelivery("digest", b""),
            ProgramRequest("x"),
            Step("run", AttemptKey(1, 1), 0, 0, {}),
            Refusal("run", AttemptKey(1, 1), "no"),
            RoundResult("run", AttemptKey(1, 1), 1, {}),
        ],
    )
    def test_letters_that_nobody_waits_for_are_dropped(self, letter: Letter) -> None:
        agent = Agent()
        agent.until_waiting()
        assert [type(effect) for effect in agent.receive(letter)] == [Drop]

    def test_another_program_is_not_stored(self) -> None:
        agent = Agent()
        agent.receive(order())
        agent.done(False)
        assert drops(agent.receive(ProgramDelivery("other", b"x")))


class TestFailure:
    @pytest.mark.parametrize("tasks_done", [0, 1, 2])
    def test_what_cannot_be_run_is_refused_with_the_reason(self, tasks_done: int) -> None:
        agent = Agent()
        agent.receive(order())
        for _ in range(tasks_done):
            agent.done(True)
        effects = agent.on(Failed(agent.task, "it needs 2.8 GB"))
        expected = Refusal("run", AttemptKey(1, 1), "it needs 2.8 GB")
        assert of(effects, Send) == [Send(COORDINATOR, expected)]
        assert agent.state.work is None

    def test_the_next_attempt_after_a_refusal_is_taken(self) -> None:
        agent = Agent()
        agent.receive(order())
        agent.on(Failed(agent.task, "no"))
        agent.receive(order(2))
        assert agent.state.work is not None
