"""A coordinator as an operating-system process: the machine on the wall clock, MQTT and torch."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from coordinator.cut_codecs import cut_codecs
from coordinator.cutting.traced_model import TracedModel
from coordinator.due import still_due
from coordinator.fleet import Fleet
from coordinator.garbage import look_rarely
from coordinator.job import Job
from coordinator.learning.checkpoint import Checkpoint
from coordinator.learning.final_model import save_final_model
from coordinator.learning.letter_limit import largest_letter_bytes
from coordinator.learning.replica_memory import with_memory_limit
from coordinator.learning.training import CoordinatorExecutor
from coordinator.machine import CoordinatorState, react
from coordinator.plan import Plan
from coordinator.planning.fixed_planner import FixedPlanner
from coordinator.planning.live_setup import live_planner, paced
from coordinator.profiling.probing_executor import ProbingExecutor
from coordinator.profiling.recall import recalled
from coordinator.profiling.survey import Survey
from coordinator.record.plan_log import logged_plans
from coordinator.record.run_record import RunRecord
from coordinator.tasks import Collect, ServeStep
from runtime import wire
from runtime.broker_url import BrokerUrl
from runtime.clock import WallClock
from runtime.dataset import Dataset, open_source
from runtime.effects import Halt
from runtime.ending import Ending, obey_signals
from runtime.errors import StorageError
from runtime.executor import Executor, ThreadWorker
from runtime.exits import Exit
from runtime.guarded import Guarded
from runtime.host import Host
from runtime.ids import COORDINATOR, DeviceId
from runtime.incarnation import next_incarnation
from runtime.letters import ANSWERED
from runtime.parent_watch import end_with_parent
from runtime.party import Party
from runtime.presence import CoordinatorPresence
from runtime.tensors import narrow_labels
from runtime.topics import Fleet as FleetTopics
from runtime.transfers.courier import Courier
from runtime.transport.mqtt import MqttTransport

_log = logging.getLogger("edgesplit.coordinator")


def run_coordinator(
    job: Job,
    fleet: Fleet,
    *,
    broker: BrokerUrl,
    record: RunRecord,
    resume: bool = False,
    replayed: Mapping[int, Plan] | None = None,
    keepalive_s: int = 10,
    with_parent: bool = False,
) -> Halt:
    """Runs a job to its end, or until asked to stop (SIGTERM, Ctrl-C) or superseded.

    `replayed` are plans of another run, by round, to be followed in place of the planner's.
    Returns why it ended. Raises EdgeSplitError for whatever keeps it from starting.
    """
    evaluation = _evaluation(job)
    executor = CoordinatorExecutor(job, evaluation, record.run, record.checkpoint_path)
    checkpoint = _restore(executor, record) if resume else None
    if _is_complete(job, record):
        save_final_model(executor, job, record)
        return Halt(Exit.OK, "the job was done already")
    state = _first_state(job, fleet, record, executor.traced, checkpoint)
    state = attrs.evolve(state, replayed=replayed or {})
    worker: Executor = executor
    if job.planner.name != "fixed":
        state = _live(state, job, fleet, executor, evaluation, record)
        worker = _probing(executor, evaluation)
    worker = Guarded(worker, (ServeStep, Collect))
    clock = WallClock()
    ending = Ending(clock)
    limits = attrs.evolve(paced(job), letter_bytes=largest_letter_bytes(job, fleet, executor))
    party = Party(react, state, FleetTopics(fleet.name), COORDINATOR, Courier(limits, ANSWERED))
    host = Host(
        party,
        transport=MqttTransport(
            broker,
            f"edgesplit-{fleet.name}-{COORDINATOR}-{state.incarnation}",
            keepalive_s=keepalive_s,
        ),
        clock=clock,
        records=record,
        make_worker=lambda tell: ThreadWorker(worker, tell, ending.defect, job.server.workers),
        ended=ending,
    )
    obey_signals(host.ask_to_stop)
    if with_parent:
        end_with_parent(host.ask_to_stop, lambda word: clock.post(lambda: _note(record, word)))
    look_rarely()
    host.start(wire.encode_json(CoordinatorPresence(state.incarnation, "lost", record.run)))
    clock.run()
    _log.info("ended: %s", ending.halt.reason)
    entry = {"event": "ended", "reason": ending.halt.reason, "dropped": party.counts()}
    record.append("events", entry)
    if ending.halt.code is Exit.OK and _is_complete(job, record):
        save_final_model(executor, job, record)
    return ending.halt


def _note(record: RunRecord, word: dict[str, Any]) -> None:
    """Puts on record what happens around us: a rehearsal tells its coordinator."""
    if isinstance(word.get("event"), str):
        record.append("events", word)


def _evaluation(job: Job) -> Dataset:
    data = open_source(job.evaluation.source, job.base)
    return data.fit(job.input.shape, job.input.dtype, job.input.classes)


def _restore(executor: CoordinatorExecutor, record: RunRecord) -> Checkpoint | None:
    if not record.checkpoint_path.exists():
        return None
    checkpoint = Checkpoint.load(record.checkpoint_path)
    executor.restore(checkpoint)
    record.keep_rounds(checkpoint.round, checkpoint.entry)
    return checkpoint


def _first_state(
    job: Job, fleet: Fleet, record: RunRecord, traced: TracedModel, checkpoint: Checkpoint | None
) -> CoordinatorState:
    devices = tuple(sorted(fleet.ids))
    batches = {DeviceId(device.id): device.batch or job.training.batch for device in fleet.devices}
    positions: Mapping[DeviceId, int] = checkpoint.positions if checkpoint else {}
    first = checkpoint.round + 1 if checkpoint else 1
    plans = _plans(record, devices)
    return CoordinatorState(
        run=record.run,
        incarnation=next_incarnation(record.folder.parent / f".coordinator-{fleet.name}"),
        devices=devices,
        recipe=job.recipe,
        planner=FixedPlanner(batches, cut_codecs(job.codec, traced), fleet.cut_at),
        codecs=job.codec.used,
        policy=job.policy,
        # What lies behind is not kept in memory.
        logged={plan.round: plan for plan in plans if plan.round >= first},
        due=still_due(plans, checkpoint.entry if checkpoint else {}),
        round=first,
        positions={device: positions.get(device, 0) for device in devices},
    )


def _plans(record: RunRecord, devices: tuple[DeviceId, ...]) -> list[Plan]:
    """Returns the plans on record. Those for another fleet are left out: they are made anew."""
    return [plan for plan in logged_plans(record) if plan.devices == devices]


def _live(
    state: CoordinatorState,
    job: Job,
    fleet: Fleet,
    executor: CoordinatorExecutor,
    evaluation: Dataset,
    record: RunRecord,
) -> CoordinatorState:
    """Returns the state of a coordinator that measures and plans."""
    planner = live_planner(
        with_memory_limit(job),
        fleet,
        executor.traced,
        buffer_bytes=sum(one.numel() * one.element_size() for one in executor.model.buffers()),
        labels_bytes=narrow_labels(evaluation.labels)[:1].nbytes,
    )
    survey = recalled(Survey(planner.survey, state.run, state.recipe), _told(record))
    return attrs.evolve(state, planner=planner, survey=survey)


def _told(record: RunRecord) -> list[dict[str, Any]]:
    """Returns the events of the run; without them boards are measured anew, and nothing is lost."""
    try:
        return record.events()
    except StorageError as error:
        _log.warning("boards are measured anew: %s", error)
        return []


def _probing(executor: CoordinatorExecutor, evaluation: Dataset) -> ProbingExecutor:
    labels, count = evaluation.labels, len(evaluation)
    shapes = {cut.name: cut.smashed_shape for cut in executor.traced.cuts}
    return ProbingExecutor(executor, shapes, lambda batch: labels[np.arange(batch) % count])


def _is_complete(job: Job, record: RunRecord) -> bool:
    return len(record.rounds()) >= job.training.rounds
