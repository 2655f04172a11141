"""A round is planned while the one before is closed, and anew where something happens meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import pytest
from attrs import define, field

from coordinator.foresight import Foresight
from coordinator.plan import Assignment, Knowledge, Plan, Planner, Prediction
from coordinator.planning.solution import Infeasible
from coordinator.tasks import CloseRound
from runtime.ids import DeviceId
from runtime.virtual import VirtualClock
from tests.profiling.live_world import LiveWorld, PacedLaboratory, steady

ONE, TWO = DeviceId("board-0"), DeviceId("board-1")
CLOSING_S = 2.0


@define
class Watched:
    """A planner of which is noted when it was asked for which round."""

    inner: Planner
    clock: VirtualClock
    asked: list[tuple[int, float]] = field(factory=list)

    def plan(self, round: int, knowledge: Knowledge) -> Plan | Infeasible:
        self.asked.append((round, self.clock.now()))
        return self.inner.plan(round, knowledge)


class SlowlyClosed(PacedLaboratory):
    """Whose rounds take two seconds to close."""

    def coordinator(self) -> tuple[Any, int, Mapping[DeviceId, int]]:
        executor, *rest = super().coordinator()
        executor.modelled_s = lambda task: CLOSING_S if isinstance(task, CloseRound) else 0.0
        return (executor, *rest)


def started(rounds: int) -> tuple[LiveWorld, Watched]:
    world = LiveWorld(steady(1e9), steady(1e10), rounds=rounds)
    world.laboratory = SlowlyClosed(world.paced.held, speeds=world.paced.speeds, clock=world.clock)
    watched = Watched(world.planner, world.clock)
    world.planner = watched
    world.start_all()
    return world, watched


def test_nobody_waits_for_the_plans_of_later_rounds() -> None:
    world, watched = started(rounds=4)
    world.run()
    assert [round for round, _ in watched.asked] == [1, 2, 3, 4], "each is planned once"
    durations_s = [entry["duration_s"] for entry in world.records.streams["rounds"]]
    (_, began_s), *later = watched.asked
    for (_, asked_s), duration_s in zip(later, durations_s[:-1], strict=True):
        began_s += duration_s
        assert asked_s == pytest.approx(began_s - CLOSING_S)
    foretold = [plan["prediction"]["closing_s"] for plan in world.records.streams["plans"]]
    assert foretold == [0.0, *[pytest.approx(CLOSING_S)] * 3], "what closing took is told as well"


def test_who_comes_meanwhile_is_planned_for() -> None:
    world, watched = started(rounds=3)
    while not any(round == 2 for round, _ in watched.asked):
        assert world.clock.step()
    world.kill(ONE)
    world.start(ONE)
    world.run()
    assert {one.device for one in world.plans[2].assignments} == {ONE, TWO}


def plan_of(knowledge: Knowledge) -> Foresight:
    part = Assignment(ONE, "middle", "fp32", "fp32", 4)
    prediction = Prediction(1.0, 1.0, 1.0, 1.0, 0.0)
    return Foresight(2, knowledge, Plan(2, "optimal", (part,), prediction))


def test_a_plan_holds_while_all_is_as_it_was() -> None:
    knowledge = Knowledge(present=frozenset({ONE}), rounds_left=3, closing_s=1.0)
    foresight = plan_of(knowledge)
    later = attrs.evolve(knowledge, opening_s=0.5, closing_s=2.0)
    plan = foresight.plan_for(2, later)
    assert plan is not None
    assert plan.prediction is not None
    assert plan.prediction.total_s == 3.5
    assert foresight.plan_for(3, knowledge) is None
    for change in ({"present": frozenset({ONE, TWO})}, {"rounds_left": 2}):
        assert foresight.plan_for(2, attrs.evolve(knowledge, **change)) is None
