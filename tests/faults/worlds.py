"""The worlds that schedules are played in: letters have a size, and tasks take their time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
from attrs import define

from coordinator.null import CUTS
from coordinator.null import NullExecutor as NullCoordinator
from coordinator.plan import Plan
from coordinator.tasks import CloseRound, Collect, OpenRound, Prepare, Prepared, Served
from device_agent.null import NullExecutor as NullDevice
from device_agent.tasks import Begin, Forward, StoreProgram, Trained
from runtime.ids import DeviceId
from runtime.letters import Tensors
from runtime.program import WHOLE_MODEL
from runtime.tensors import pack
from runtime.transfers.courier import CourierLimits
from runtime.transport.memory import MemoryBroker
from tests.faults.schedule import Setting
from tests.profiling.live_world import CUTS as LIVE_CUTS
from tests.profiling.live_world import WHOLE, LiveWorld, steady
from tests.world import NullLaboratory, NullWorld, World

BUDGET_BYTES = 48 * 1024
"""So little that three boards already share it."""
_SPEEDS = (1e10, 4e10, 5e9, 1e11)
_TAKES_S: Mapping[type, float] = {
    OpenRound: 0.03,
    Prepare: 0.02,
    Collect: 0.01,
    CloseRound: 0.05,
    Begin: 0.01,
    StoreProgram: 0.01,
}


class BulkyServer(NullCoordinator):
    """Gives orders and gradients a size."""

    def __init__(self, *rest: Any, ballast_bytes: int) -> None:
        super().__init__(*rest)
        self._ballast = ballast(ballast_bytes)

    def modelled_s(self, task: Any) -> float:
        return _TAKES_S.get(type(task), super().modelled_s(task))

    def run(self, task: Any) -> Any:
        result = super().run(task)
        if isinstance(result, Prepared | Served):
            return attrs.evolve(result, tensors={**result.tensors, **self._ballast})
        return result


class BulkyBoard(NullDevice):
    """Gives steps and results a size."""

    def __init__(self, *rest: Any, ballast_bytes: int) -> None:
        super().__init__(*rest)
        self._ballast = ballast(ballast_bytes)

    def modelled_s(self, task: Any) -> float:
        return _TAKES_S.get(type(task), super().modelled_s(task))

    def run(self, task: Any) -> Any:
        result = super().run(task)
        if isinstance(task, Forward):
            return {**result, **self._ballast}
        if isinstance(result, Trained):
            return attrs.evolve(result, tensors={**result.tensors, **self._ballast})
        return result


@define
class BulkyLaboratory(NullLaboratory):
    """Hash chains that carry something."""

    ballast_bytes: int = 0

    def coordinator(self) -> tuple[Any, int, Mapping[DeviceId, int]]:
        _, done, positions = super().coordinator()
        return BulkyServer(self.disk, ballast_bytes=self.ballast_bytes), done, positions

    def device(self, name: DeviceId) -> tuple[Any, int]:
        _, held = super().device(name)
        board = BulkyBoard(name, held, self.flash[name], ballast_bytes=self.ballast_bytes)
        return board, held


def ballast(size_bytes: int) -> Tensors:
    """Returns tensors of that size, none for 0."""
    return {"ballast": pack(np.zeros(size_bytes, np.uint8))} if size_bytes else {}


def laboratory_of(world: World) -> NullLaboratory:
    """Returns where the chains of a world are."""
    assert isinstance(world.laboratory, NullLaboratory)
    return world.laboratory


def build(setting: Setting, seed: int = 0, replayed: Mapping[int, Plan] | None = None) -> World:
    """Returns a world in which nobody has started yet."""
    world = _live(setting) if setting.live else _fixed(setting)
    world.policy = setting.policy
    world.broker = MemoryBroker(world.clock, setting.weather, seed)
    world.limits = CourierLimits(budget_bytes=BUDGET_BYTES)
    world.replayed = replayed or {}
    return world


def _fixed(setting: Setting) -> World:
    cuts = tuple(cut for cut in CUTS if setting.whole or cut != WHOLE_MODEL)
    world = NullWorld(setting.devices, setting.rounds, setting.local_steps, cuts=cuts)
    null = world.null
    world.laboratory = BulkyLaboratory(null.held, null.disk, null.flash, setting.ballast_bytes)
    return world


def _live(setting: Setting) -> World:
    speeds = map(steady, _SPEEDS[: setting.devices])
    cuts = (*LIVE_CUTS, WHOLE) if setting.whole else LIVE_CUTS
    return LiveWorld(*speeds, rounds=setting.rounds, local_steps=setting.local_steps, cuts=cuts)
