"""The worlds that schedules are played in: letters have a size, and tasks take their time."""

from __future__ import annotations

from collections.abc import Mapping

from coordinator.null import CUTS
from coordinator.plan import Plan
from coordinator.tasks import CloseRound, Collect, OpenRound, Prepare
from device_agent.tasks import Begin, StoreProgram
from runtime.program import WHOLE_MODEL
from runtime.transfers.courier import CourierLimits
from runtime.transport.memory import MemoryBroker
from tests.faults.bulky import BulkyLaboratory
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
    world.laboratory = BulkyLaboratory(
        null.held, null.disk, null.flash, setting.ballast_bytes, takes_s=_TAKES_S
    )
    return world


def _live(setting: Setting) -> World:
    speeds = map(steady, _SPEEDS[: setting.devices])
    cuts = (*LIVE_CUTS, WHOLE) if setting.whole else LIVE_CUTS
    return LiveWorld(*speeds, rounds=setting.rounds, local_steps=setting.local_steps, cuts=cuts)
