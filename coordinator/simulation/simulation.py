"""A simulated run: the product's parties on modelled links and boards, recorded as a real one."""

from __future__ import annotations

import time
from typing import Any

from attrs import field, frozen

from coordinator.cutting.cut_check import trace_job
from coordinator.cutting.model import build_model
from coordinator.cutting.traced_model import TracedModel
from coordinator.fleet import Fleet
from coordinator.job import Job
from coordinator.learning.training import CoordinatorExecutor
from coordinator.plan import Planner
from coordinator.planning.fixed_planner import FixedPlanner
from coordinator.profiling.survey import Survey
from coordinator.record.run_record import RunRecord
from coordinator.rehearsal.partition import deal
from coordinator.simulation.casts import Learners, Modelled, StandIns
from coordinator.simulation.conditions import Conditions
from coordinator.simulation.costs import DEFAULT_SERVER_GFLOPS, Costs, measured_server_gflops
from coordinator.simulation.ledger import Ledger
from coordinator.simulation.payloads import Payloads
from coordinator.simulation.world import Cast, SimulatedWorld
from runtime.clock import Clock
from runtime.dataset import open_source
from runtime.effects import Halt
from runtime.host import Records
from runtime.ids import DeviceId
from runtime.virtual import VirtualClock


@frozen
class Setting:
    """What a simulation assumes beside the job and the fleet.

    `server_gflops` is the speed of one server worker in training; None measures this machine,
    which makes the result this machine's own. With `learn` the model is really trained.
    """

    conditions: Conditions = field(factory=Conditions)
    server_gflops: float | None = DEFAULT_SERVER_GFLOPS
    learn: bool = False


@frozen
class Simulated:
    """How a simulation ended, on whose clock and with what server."""

    halt: Halt
    simulated_s: float
    wall_s: float
    server_gflops: float
    messages: int


@frozen
class SimulatedRecords:
    """Marks what is recorded as simulated, and says where the time of rounds went."""

    records: Records
    ledger: Ledger
    clock: Clock

    def append(self, stream: str, entry: dict[str, Any]) -> None:
        match stream:
            case "rounds":
                devices = self.ledger.close_round(entry["devices"])
                entry = {**entry, "devices": devices, "simulated": True}
            case "events":
                entry = {**entry, "simulated_s": self.clock.now()}
        self.records.append(stream, entry)


def simulate(
    job: Job,
    fleet: Fleet,
    record: RunRecord,
    setting: Setting | None = None,
    *,
    planner: Planner | None = None,
    survey: Survey | None = None,
) -> Simulated:
    """Runs a job to its end in virtual time; `planner` None takes the cuts of the fleet file.

    Planners that go by measurements need a `survey`, as in a real run.

    Equal arguments give equal rounds, but for a server that is measured. Raises EdgeSplitError
    for what keeps it from starting, and for a job that never ends under these conditions.
    """
    setting = setting or Setting()
    began_s = time.perf_counter()
    clock, ledger = VirtualClock(), Ledger()
    cast, costs = (
        _learners(job, fleet, record, setting) if setting.learn else _stand_ins(job, setting)
    )
    world = SimulatedWorld(
        job,
        fleet,
        planner or fixed_planner(job, fleet),
        Modelled(cast, costs, clock, ledger, setting.conditions),
        clock=clock,
        records=SimulatedRecords(record, ledger, clock),
        run=record.run,
        conditions=setting.conditions,
        survey=survey,
    )
    halt = world.run()
    record.close()
    wall_s = time.perf_counter() - began_s
    return Simulated(halt, clock.now(), wall_s, costs.server_gflops, world.broker.delivered)


def fixed_planner(job: Job, fleet: Fleet) -> FixedPlanner:
    """Returns the planner that takes every cut from the fleet file."""
    batches = {DeviceId(device.id): device.batch or job.training.batch for device in fleet.devices}
    return FixedPlanner(batches, job.codec.up, job.codec.down, fleet.cut_at)


def _stand_ins(job: Job, setting: Setting) -> tuple[Cast, Costs]:
    traced = trace_job(job)
    return StandIns(job, Payloads(job, traced)), _costs(job, setting, traced)


def _learners(job: Job, fleet: Fleet, record: RunRecord, setting: Setting) -> tuple[Cast, Costs]:
    evaluation = open_source(job.evaluation.source, job.base)
    fitted = evaluation.fit(job.input.shape, job.input.dtype, job.input.classes)
    trainer = CoordinatorExecutor(job, fitted, record.run, record.checkpoint_path)
    sources = deal(fleet, record.folder / "data")
    shards = {name: open_source(source, fleet.base) for name, source in sources.items()}
    cast = Learners(trainer, shards, record.folder / "programs")
    return cast, _costs(job, setting, trainer.traced)


def _costs(job: Job, setting: Setting, traced: TracedModel) -> Costs:
    if setting.server_gflops is not None:
        return Costs(traced, setting.server_gflops)
    # A model of its own: timing leaves gradients and running statistics behind.
    model = build_model(job.model.factory, job.model.args, job.training.seed, job.base)
    return Costs(traced, measured_server_gflops(job, model, traced))
