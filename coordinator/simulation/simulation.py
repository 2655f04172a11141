"""A simulated run: the product's parties on modelled links and boards, recorded as a real one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from coordinator.cut_codecs import cut_codecs
from coordinator.cutting.cut_check import trace_job
from coordinator.cutting.model import build_model
from coordinator.cutting.traced_model import TracedModel
from coordinator.fleet import Fleet
from coordinator.job import Job
from coordinator.learning.training import CoordinatorExecutor
from coordinator.plan import Plan, Planner
from coordinator.planning.fixed_planner import FixedPlanner
from coordinator.planning.live_planner import LivePlanner
from coordinator.planning.live_setup import live_planner
from coordinator.profiling.survey import Survey
from coordinator.record.run_record import RunRecord
from coordinator.rehearsal.partition import deal
from coordinator.simulation.budgets import told_of, with_shared
from coordinator.simulation.casts import Learners, Modelled, StandIns
from coordinator.simulation.closing import Closing, estimated_closing_s
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
from runtime.tensors import narrow_labels
from runtime.virtual import VirtualClock


@frozen
class Setting:
    """What a simulation assumes beside the job and the fleet.

    `server_gflops` is the speed of one server worker in training; None measures this machine,
    which makes the result this machine's own. With `learn` the model is really trained.
    `closing_s` is what averaging, evaluation and checkpoint take at the end of a round; None
    estimates it.
    """

    conditions: Conditions = field(factory=Conditions)
    server_gflops: float | None = DEFAULT_SERVER_GFLOPS
    learn: bool = False
    closing_s: float | None = 0.0


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
    replayed: Mapping[int, Plan] | None = None,
) -> Simulated:
    """Runs a job to its end in virtual time, planned by the job's planner unless one is given.

    Planners other than the fixed one measure the modelled boards first, by probes over the
    simulated links. `replayed` are plans of another run, by round, to be followed once more.

    Equal arguments give equal rounds, but for what is measured on this machine. Raises
    EdgeSplitError for what keeps it from starting, and for a job that never ends under these
    conditions.
    """
    setting = setting or Setting()
    began_s = time.perf_counter()
    conditions = with_shared(setting.conditions, fleet, job)
    job = told_of(conditions.shared, job)
    clock, ledger = VirtualClock(), Ledger()
    company = _learners(job, fleet, record, setting) if setting.learn else _stand_ins(job, setting)
    costs = company.costs
    planner = planner or _planner(job, fleet, company)
    closing_s = setting.closing_s
    if closing_s is None:
        closing_s = estimated_closing_s(job, fleet, costs)
    world = SimulatedWorld(
        job,
        fleet,
        planner,
        Modelled(Closing(company.cast, closing_s), costs, clock, ledger, conditions),
        clock=clock,
        records=SimulatedRecords(record, ledger, clock),
        run=record.run,
        conditions=conditions,
        survey=survey_for(planner, record.run, job),
        replayed=replayed,
    )
    halt = world.run()
    record.close()
    wall_s = time.perf_counter() - began_s
    return Simulated(halt, clock.now(), wall_s, costs.server_gflops, world.broker.delivered)


def fixed_planner(job: Job, fleet: Fleet, traced: TracedModel) -> FixedPlanner:
    """Returns the planner that takes every cut from the fleet file."""
    batches = {DeviceId(device.id): device.batch or job.training.batch for device in fleet.devices}
    return FixedPlanner(batches, cut_codecs(job.codec, traced), fleet.cut_at)


@frozen
class _Company:
    """Who plays, how long that takes, and what the labels of one sample weigh."""

    cast: Cast
    costs: Costs
    labels_bytes: int


def _planner(job: Job, fleet: Fleet, company: _Company) -> Planner:
    traced = company.costs.traced
    if job.planner.name == "fixed":
        return fixed_planner(job, fleet, traced)
    return live_planner(
        job,
        fleet,
        traced,
        buffer_bytes=_buffer_bytes(traced),
        labels_bytes=company.labels_bytes,
    )


def survey_for(planner: Planner, run: str, job: Job) -> Survey | None:
    """Returns what measures the boards for a planner that goes by measurements."""
    return Survey(planner.survey, run, job.recipe) if isinstance(planner, LivePlanner) else None


def _buffer_bytes(traced: TracedModel) -> int:
    split = traced.split(traced.cuts[-1].name)
    buffers = (*split.device.buffers(), *split.server.buffers())
    return sum(one.numel() * one.element_size() for one in buffers)


def _stand_ins(job: Job, setting: Setting) -> _Company:
    traced = trace_job(job)
    payloads = Payloads(job, traced)
    labels = payloads.smashed(traced.cuts[0].name, job.codec.up, 1)["labels"]
    return _Company(StandIns(job, payloads), _costs(job, setting, traced), len(labels.data))


def _learners(job: Job, fleet: Fleet, record: RunRecord, setting: Setting) -> _Company:
    evaluation = open_source(job.evaluation.source, job.base)
    fitted = evaluation.fit(job.input.shape, job.input.dtype, job.input.classes)
    trainer = CoordinatorExecutor(job, fitted, record.run, record.checkpoint_path)
    sources = deal(fleet, record.folder / "data")
    shards = {name: open_source(source, fleet.base) for name, source in sources.items()}
    cast = Learners(trainer, shards, record.folder / "programs")
    labels_bytes = narrow_labels(fitted.labels)[:1].nbytes
    return _Company(cast, _costs(job, setting, trainer.traced), labels_bytes)


def _costs(job: Job, setting: Setting, traced: TracedModel) -> Costs:
    if setting.server_gflops is not None:
        return Costs(traced, setting.server_gflops)
    # A model of its own: timing leaves gradients and running statistics behind.
    model = build_model(job.model.factory, job.model.args, job.training.seed, job.base)
    return Costs(traced, measured_server_gflops(job, model, traced))
