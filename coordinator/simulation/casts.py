"""Who computes in a simulation: stand-ins, or the product's own executors under modelled time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from coordinator.fleet import Device
from coordinator.job import Job
from coordinator.learning.training import CoordinatorExecutor
from coordinator.simulation.conditions import Conditions
from coordinator.simulation.costs import Costs
from coordinator.simulation.ledger import Ledger
from coordinator.simulation.modelled import ModelledBoard, ModelledServer
from coordinator.simulation.payloads import Payloads
from coordinator.simulation.stand_ins import StandInBoard, StandInServer
from coordinator.simulation.world import Cast
from device_agent.program_cache import ProgramCache
from device_agent.stopwatch import Slowdown
from device_agent.training import DeviceExecutor
from runtime.clock import Clock
from runtime.dataset import Dataset
from runtime.executor import Executor
from runtime.ids import DeviceId
from runtime.presence import Limits

_GENEROUS = Limits(transfer_bytes=2**34, program_bytes=2**34, memory_bytes=2**40)


@frozen
class StandIns:
    """Nothing is computed: what is sent is made of zeros. `flash` outlives a board's process."""

    job: Job
    payloads: Payloads
    flash: dict[str, set[str]] = field(factory=dict)

    def server(self) -> Executor:
        return StandInServer(self.payloads)

    def board(self, device: Device) -> tuple[Executor, int]:
        batch = device.batch or self.job.training.batch
        held = self.flash.setdefault(device.id, set())
        return StandInBoard(self.payloads, held), batch * self.job.training.local_steps


@frozen
class Learners:
    """The product's executors. `shards` are the devices' samples; caches lie in `folder`."""

    trainer: CoordinatorExecutor
    shards: Mapping[DeviceId, Dataset]
    folder: Path

    def server(self) -> Executor:
        return self.trainer

    def board(self, device: Device) -> tuple[Executor, int]:
        shard = self.shards[DeviceId(device.id)]
        cache = ProgramCache(self.folder / device.id, _GENEROUS)
        executor = DeviceExecutor(DeviceId(device.id), shard, cache, augmentations=device.augment)
        return executor, len(shard)


@frozen
class Modelled:
    """Any cast, on boards and a server as fast as `costs` and the fleet file say."""

    inner: Cast
    costs: Costs
    clock: Clock
    ledger: Ledger
    conditions: Conditions
    _paces: dict[DeviceId, Slowdown] = field(factory=dict)

    def server(self) -> Executor:
        return ModelledServer(self.inner.server(), self.costs, self.clock, self.ledger)

    def board(self, device: Device) -> tuple[Executor, int]:
        executor, samples = self.inner.board(device)
        modelled = ModelledBoard(
            DeviceId(device.id),
            executor,
            self.costs,
            device.emulate,
            clock=self.clock,
            ledger=self.ledger,
            slowdown=self.conditions.of(device.id).slowdown,
            pace=self._pace(DeviceId(device.id)),
        )
        return modelled, samples

    def slow(self, device: DeviceId, times: float) -> None:
        self._pace(device).times = times

    def _pace(self, device: DeviceId) -> Slowdown:
        return self._paces.setdefault(device, Slowdown())
