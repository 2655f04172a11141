"""Both machines where a device trains the whole model: no step is sent, none is awaited."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from coordinator.planning.fixed_planner import FixedPlanner
from coordinator.tasks import Closed, CloseRound, Collect, ServeStep
from device_agent.machine import AgentState
from device_agent.machine import react as agent_react
from device_agent.tasks import Backward, Begin, FindProgram, Finish, Forward, Trained
from runtime.effects import Record, Submit
from runtime.events import Finished
from runtime.ids import COORDINATOR
from runtime.letters import (
    AttemptKey,
    DeviceReport,
    Gradient,
    Refusal,
    RoundOrder,
    RoundResult,
    Step,
)
from runtime.machine_effects import MachineEffect
from runtime.machine_events import Received, Seen
from runtime.optimisers import OptimiserSpec
from runtime.presence import CoordinatorPresence
from runtime.program import WHOLE_MODEL
from runtime.recipe import Recipe
from runtime.schedules import ScheduleSpec
from tests.machines.coordinating import (
    ONE,
    STEPS,
    TWO,
    Coordinating,
    birth,
    drops,
    letters,
    of,
    tasks,
)
from tests.world import PLAIN

ORDER = RoundOrder(
    "run", AttemptKey(1, 1), "digest", WHOLE_MODEL, 4, 2, 0, "fp32", "fp32",
    Recipe(1, 5, STEPS, OptimiserSpec("sgd", lr=0.1), ScheduleSpec()), {},
)  # fmt: skip
REPORT = DeviceReport(mean_loss=0.25)


class Agent:
    """Feeds events to an agent that follows a coordinator."""

    def __init__(self) -> None:
        self.state = AgentState(birth())
        self.effects: list[MachineEffect] = []
        self.on(Seen(CoordinatorPresence(5, "online", "run")))

    def on(self, event: Any) -> list[MachineEffect]:
        self.state, effects = agent_react(self.state, event, 1.0)
        self.effects += effects
        return effects

    def work(self) -> Any:
        """Ends the task in hand; returns it."""
        task = of(self.effects, Submit)[-1].task
        results = {FindProgram: True, Forward: {}, Finish: Trained(16, {}, REPORT)}
        self.on(Finished(task, results.get(type(task))))
        return task


def ordered() -> Agent:
    agent = Agent()
    agent.on(Received(COORDINATOR, ORDER))
    return agent


def planned(*whole: str) -> Coordinating:
    """Returns a coordinator of two boards, all there; those of `whole` train everything."""
    made = Coordinating(ONE, TWO)
    planner = FixedPlanner(
        {ONE: 4, TWO: 4}, PLAIN, lambda one, _: WHOLE_MODEL if one in whole else "middle"
    )
    made.state = attrs.evolve(made.state, planner=planner)
    for device in (ONE, TWO):
        made.on(Seen(birth(device)))
    return made


class TestAgent:
    def test_it_trains_all_steps_and_goes_home(self) -> None:
        agent = ordered()
        done = [agent.work() for _ in range(2 + 2 * 2 * STEPS + 1)]
        kinds = [type(task) for task in done]
        assert kinds == [FindProgram, Begin, *[Forward, Backward] * 2 * STEPS, Finish]
        places = [(task.step, task.micro_batch) for task in done if isinstance(task, Backward)]
        assert places == [(0, 0), (0, 1), (1, 0), (1, 1)]
        assert {task.tensors for task in done if isinstance(task, Backward)} == {None}
        assert letters(agent.effects, Step) == []
        (home,) = letters(agent.effects, RoundResult)
        assert home.report.mean_loss == 0.25
        assert agent.state.work is None

    def test_a_gradient_changes_nothing(self) -> None:
        agent = ordered()
        for _ in range(3):
            agent.work()
        before = agent.state
        gradient = Gradient("run", ORDER.attempt, 0, 0, {})
        assert drops(agent.on(Received(COORDINATOR, gradient))) == ["stale Gradient"]
        assert agent.state == before


class TestCoordinator:
    def test_it_takes_the_result_straight_after_the_order(self) -> None:
        made = planned(ONE, TWO)
        for device in (ONE, TWO):
            attempt = made.prepared(device).attempt
            made.receive(RoundResult("run", attempt, 4 * STEPS, {}, REPORT), device)
            made.on(Finished(tasks(made.effects, Collect)[-1], None))
        close = tasks(made.effects, CloseRound)[-1]
        entry = next(
            effect.entry
            for effect in of(made.on(Finished(close, Closed(0.5, 1.0, "hash"))), Record)
            if effect.stream == "rounds"
        )
        assert entry["train_loss"] == entry["devices"][ONE]["train_loss"] == 0.25
        assert entry["samples"] == 2 * 4 * STEPS
        assert tasks(made.effects, ServeStep) == []

    def test_it_serves_no_step_of_such_a_device(self) -> None:
        made = planned(ONE)
        attempt = made.prepared(ONE).attempt
        effects = made.receive(Step("run", attempt, 0, 0, {}), ONE)
        assert drops(effects) == ["stale Step"]
        assert tasks(effects, ServeStep) == []

    def test_others_must_have_made_their_steps(self) -> None:
        made = planned(ONE)
        attempt = made.prepared(TWO).attempt
        effects = made.receive(RoundResult("run", attempt, 4 * STEPS, {}, REPORT), TWO)
        assert drops(effects) == ["stale RoundResult"]

    def test_the_loss_that_a_cut_device_tells_is_not_believed(self) -> None:
        made = planned(ONE)
        attempt = made.prepared(TWO).attempt
        for step in range(STEPS):
            made.step(attempt, step, TWO)
        made.receive(RoundResult("run", attempt, 4 * STEPS, {}, REPORT), TWO)
        assert made.state.duties[TWO].mean_loss == 0.5

    @pytest.mark.parametrize("samples", [0, 1, 4 * STEPS + 1])
    def test_too_few_samples_fail_the_attempt(self, samples: int) -> None:
        made = planned(ONE)
        attempt = made.prepared(ONE).attempt
        made.receive(RoundResult("run", attempt, samples, {}, REPORT), ONE)
        assert made.prepared(ONE).attempt == AttemptKey(1, 2)

    def test_a_refusal_begins_another_attempt(self) -> None:
        made = planned(ONE)
        attempt = made.prepared(ONE).attempt
        made.receive(Refusal("run", attempt, "training has diverged"), ONE)
        assert made.prepared(ONE).attempt == AttemptKey(1, 2)
