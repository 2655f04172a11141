"""A fleet whose boards take modelled time, whose letters have their size, and which is planned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import numpy as np
from attrs import define

from coordinator.cutting.traced_model import Cut
from coordinator.null import NullExecutor as NullCoordinator
from coordinator.planning.cut_costs import ModelSize
from coordinator.planning.live_planner import LivePlanner
from coordinator.planning.planners import SOLVERS
from coordinator.planning.problem import Problem
from coordinator.profiling.cut_survey import CutSurvey
from coordinator.profiling.survey import Survey
from coordinator.state import CoordinatorState
from coordinator.tasks import Prepare, Served, ServeStep
from device_agent.null import NullExecutor as NullDevice
from device_agent.tasks import Begin, Forward
from runtime.ids import COORDINATOR, DeviceId
from runtime.letters import Tensors
from runtime.optimisers import OptimiserSpec
from runtime.program import WHOLE_MODEL
from runtime.recipe import Recipe
from runtime.schedules import ScheduleSpec
from runtime.tensors import pack
from runtime.transport.link_model import Line, Link
from runtime.transport.memory import Weather
from runtime.virtual import VirtualClock
from tests.world import PLAIN, NullLaboratory, World

BATCH = 4
_LONGEST_S = 300.0
_TRAINING = 3
Speed = Callable[[float], float]
"""Operations per second of a board at a time."""


def _cut(name: str, flops: int, smashed_bytes: int) -> Cut:
    return Cut(
        name=name,
        aliases=(),
        smashed_shape=(smashed_bytes // 4,),
        smashed_bytes_per_sample=smashed_bytes,
        device_flops_per_sample=flops,
        device_parameters=1_000,
        device_parameter_bytes=4_000,
        training_memory_bytes_per_sample=flops // 1_000,
        training_memory_fixed_bytes=16_000,
    )


CUTS = (
    _cut("shallow", 10**7, 64_000),
    _cut("middle", 5 * 10**7, 16_000),
    _cut("deep", 2 * 10**8, 4_000),
)
WHOLE = _cut(WHOLE_MODEL, 3 * 10**8, 0)
BY_NAME = {cut.name: cut for cut in (*CUTS, WHOLE)}


def step_s(cut: str, operations_per_s: float) -> float:
    """Returns what a step takes a board."""
    return _TRAINING * BATCH * BY_NAME[cut].device_flops_per_sample / operations_per_s


class PacedBoard(NullDevice):
    """Takes time by its cut and sends as many bytes as the real tensor has."""

    def __init__(self, clock: VirtualClock, speed: Speed, *rest: Any) -> None:
        super().__init__(*rest)
        self._clock = clock
        self._speed = speed

    def run(self, task: Any) -> Any:
        if isinstance(task, Begin):
            self._step_s = step_s(task.order.cut, self._speed(self._clock.now()))
        result = super().run(task)
        if isinstance(task, Forward) and self._order is not None:
            return {**result, **_padding(self._order.cut)}
        return result


class PaddedServer(NullCoordinator):
    """Sends gradients as large as the real ones."""

    def __init__(self, *rest: Any) -> None:
        super().__init__(*rest)
        self._cuts: dict[DeviceId, str] = {}

    def run(self, task: Any) -> Any:
        if isinstance(task, Prepare):
            self._cuts[task.assignment.device] = task.assignment.cut
        result = super().run(task)
        if isinstance(task, ServeStep) and isinstance(result, Served):
            padding = _padding(self._cuts[task.device])
            return attrs.evolve(result, tensors={**result.tensors, **padding})
        return result


def _padding(cut: str) -> Tensors:
    size = BATCH * BY_NAME[cut].smashed_bytes_per_sample
    return {"padding": pack(np.zeros(size, np.uint8))}


@define
class PacedLaboratory(NullLaboratory):
    """Boards of these speeds."""

    speeds: Mapping[DeviceId, Speed] = attrs.field(factory=dict)
    clock: VirtualClock = attrs.field(factory=VirtualClock)

    def coordinator(self) -> tuple[Any, int, Mapping[DeviceId, int]]:
        _, done, positions = super().coordinator()
        return PaddedServer(self.disk), done, positions

    def device(self, name: DeviceId) -> tuple[Any, int]:
        flash = self.flash.setdefault(name, {})
        speed, held = self.speeds[name], self.held[name]
        return PacedBoard(self.clock, speed, name, held, flash), held


class LiveWorld(World):
    """Boards named board-0, board-1, ... with links of 1 MB/s, planned by `optimal`."""

    def __init__(
        self,
        *speeds: Speed,
        rounds: int,
        local_steps: int = 4,
        weather: Weather | None = None,
        cuts: tuple[Cut, ...] = CUTS,
    ) -> None:
        names = tuple(DeviceId(f"board-{index}") for index in range(len(speeds)))
        recipe = Recipe(7, rounds, local_steps, OptimiserSpec("sgd", lr=0.1), ScheduleSpec())
        batches = dict.fromkeys(names, BATCH)
        surveyor = CutSurvey(cuts, WHOLE.device_flops_per_sample, batches, PLAIN)
        planner = LivePlanner(
            SOLVERS["optimal"], surveyor, ModelSize(8_000, 0, 0), Problem((), local_steps)
        )
        self.paced = PacedLaboratory(
            dict.fromkeys(names, 40), speeds=dict(zip(names, speeds, strict=True))
        )
        super().__init__(names, recipe, planner, self.paced, weather=weather or Weather())
        self.paced.clock = self.clock
        self.survey = Survey(surveyor, "run-1", recipe)
        self.links = {name: Link(_line(), _line()) for name in names}

    @property
    def chain(self) -> bytes:
        """The hash chain after the last round."""
        return self.paced.disk[self.recipe.rounds].chain

    @property
    def measured(self) -> Survey:
        """What the coordinator that lives knows."""
        survey = self.lives[COORDINATOR].party.state.survey
        assert isinstance(survey, Survey)
        return survey

    @property
    def coordinator(self) -> CoordinatorState:
        """The state of the coordinator that lives."""
        state = self.lives[COORDINATOR].party.state
        assert isinstance(state, CoordinatorState)
        return state

    def until(self, holds: Callable[[], bool]) -> None:
        """Lets time pass until something holds."""
        while not holds():
            assert self.clock.step()
            assert self.clock.now() < _LONGEST_S

    def told(self, event: str) -> list[tuple[str, str]]:
        """Returns the devices of events of a kind, and their cuts where they have any."""
        found = [one for one in self.records.streams.get("events", []) if one["event"] == event]
        return [(one["device"], one.get("cut", "")) for one in found]

    def cuts_of(self, name: str) -> list[str]:
        """Returns a device's cuts by round."""
        return [
            one.cut
            for _, plan in sorted(self.plans.items())
            for one in plan.assignments
            if one.device == name
        ]


def _line() -> Line:
    return Line(rates=((0.0, 1e6),), delay_s=0.005)


def steady(operations_per_s: float) -> Speed:
    """Returns the speed of a board that never changes."""
    return lambda _: operations_per_s
