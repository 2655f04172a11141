"""A coordinator's machine in the hand: state, what it asked for, and short words for events."""

from __future__ import annotations

from typing import Any, TypeVar

import attrs

from coordinator.machine import CoordinatorState, react
from coordinator.planning.fixed_planner import FixedPlanner
from coordinator.tasks import (
    Closed,
    CloseRound,
    Collect,
    OpenRound,
    Prepare,
    Prepared,
    Served,
    ServeStep,
)
from runtime.effects import Halt, Record, Submit
from runtime.events import Failed, Finished, Tick
from runtime.ids import DeviceId
from runtime.letters import AttemptKey, Letter, RoundOrder, RoundResult, Step
from runtime.machine_effects import Drop, MachineEffect, Send
from runtime.machine_events import MachineEvent, Received, Seen
from runtime.optimisers import OptimiserSpec
from runtime.presence import DevicePresence
from runtime.recipe import Recipe
from runtime.schedules import ScheduleSpec
from tests.world import PLAIN

T = TypeVar("T")
ONE, TWO = DeviceId("board-1"), DeviceId("board-2")
STEPS = 2


def birth(device: DeviceId = ONE, incarnation: int = 1, **changes: Any) -> DevicePresence:
    born = DevicePresence(
        device, incarnation, "online", samples=10, codecs=("fp32",), optimisers=("sgd",)
    )
    return attrs.evolve(born, **changes)


class Coordinating:
    """Feeds events and keeps all effects."""

    def __init__(self, *devices: DeviceId, rounds: int = 2) -> None:
        recipe = Recipe(1, rounds, STEPS, OptimiserSpec("sgd", lr=0.1), ScheduleSpec())
        planner = FixedPlanner(dict.fromkeys(devices, 4), PLAIN, lambda *_: "middle")
        self.state = CoordinatorState("run", 5, devices, recipe, planner, frozenset({"fp32"}))
        self.effects: list[MachineEffect] = []
        self.opens_at_once = True
        self.now_s = 1.0

    def on(self, event: MachineEvent) -> list[MachineEffect]:
        self.state, effects = react(self.state, event, self.now_s)
        self.effects += effects
        opening = tasks(effects, OpenRound) if self.opens_at_once else []
        return effects + [more for task in opening for more in self.on(Finished(task, None))]

    def after(self, seconds: float) -> list[MachineEffect]:
        """Lets time pass, and the machine look at the clock."""
        self.now_s += seconds
        return self.on(Tick())

    def receive(self, letter: Letter, device: DeviceId = ONE) -> list[MachineEffect]:
        return self.on(Received(device, letter))

    def prepared(self, device: DeviceId = ONE) -> RoundOrder:
        """Lets the pending preparation end; returns the order that goes out."""
        prepare = [t for t in tasks(self.effects, Prepare) if t.assignment.device == device][-1]
        return letters(self.on(Finished(prepare, Prepared("digest", {}))), RoundOrder)[-1]

    def step(self, attempt: AttemptKey, step: int, device: DeviceId = ONE) -> None:
        """Takes one step through the server."""
        serve = tasks(self.receive(Step("run", attempt, step, 0, {}), device), ServeStep)[-1]
        self.on(Finished(serve, Served({}, 0.5)))

    def come_home(self, attempt: AttemptKey, device: DeviceId = ONE) -> list[MachineEffect]:
        """Collects the result of a device that has made all steps."""
        home = RoundResult("run", attempt, 4 * STEPS, {})
        collect = tasks(self.receive(home, device), Collect)[-1]
        return self.on(Finished(collect, None))

    def whole_round(self, device: DeviceId = ONE) -> list[MachineEffect]:
        """Trains a device alone through its round and closes it."""
        order = self.prepared(device)
        for step in range(STEPS):
            self.step(order.attempt, step, device)
        close = tasks(self.come_home(order.attempt, device), CloseRound)[-1]
        return self.on(Finished(close, Closed(0.5, 1.0, "hash")))

    def fail(self, reason: str = "broken") -> list[MachineEffect]:
        """Sends a step whose service fails."""
        attempt = self.prepared().attempt
        serve = tasks(self.receive(Step("run", attempt, 0, 0, {})), ServeStep)[-1]
        return self.on(Failed(serve, reason))


def begun(*devices: DeviceId, rounds: int = 2) -> Coordinating:
    """Returns a coordinator whose devices are all there."""
    made = Coordinating(*devices, rounds=rounds)
    for device in devices:
        made.on(Seen(birth(device)))
    return made


def of(effects: list[MachineEffect], kind: type[T]) -> list[T]:
    return [effect for effect in effects if isinstance(effect, kind)]


def tasks(effects: list[MachineEffect], kind: type[T]) -> list[T]:
    return [effect.task for effect in of(effects, Submit) if isinstance(effect.task, kind)]


def letters(effects: list[MachineEffect], kind: type[T]) -> list[T]:
    return [effect.letter for effect in of(effects, Send) if isinstance(effect.letter, kind)]


def events(effects: list[MachineEffect]) -> list[str]:
    return [one.entry["event"] for one in of(effects, Record) if one.stream == "events"]


def drops(effects: list[MachineEffect]) -> list[str]:
    return [one.reason for one in of(effects, Drop)]


def halts(effects: list[MachineEffect]) -> list[Halt]:
    return of(effects, Halt)
