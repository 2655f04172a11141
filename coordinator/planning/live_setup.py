"""A live planner for a job, its fleet and its model."""

from __future__ import annotations

import numpy as np

from coordinator.cut_codecs import cut_codecs
from coordinator.cutting.traced_model import FLOAT32_BYTES, Cut, TracedModel
from coordinator.fleet import Fleet
from coordinator.job import Job, Planner
from coordinator.planning.cut_costs import ModelSize
from coordinator.planning.full_local import FullLocal
from coordinator.planning.hysteresis import Hysteresis
from coordinator.planning.lending import Lending
from coordinator.planning.live_planner import LivePlanner
from coordinator.planning.planners import SOLVERS
from coordinator.planning.problem import Problem
from coordinator.planning.sequential import Sequential
from coordinator.planning.solution import Solver
from coordinator.planning.unpaced import Unpaced
from coordinator.profiling.cut_survey import CutSurvey
from runtime.ids import DeviceId
from runtime.optimisers import Optimiser
from runtime.program import WHOLE_MODEL
from runtime.transfers.courier import CourierLimits

_MB = 1e6
_BYTES_PER_MEGABIT = 1e6 / 8


def live_planner(
    job: Job, fleet: Fleet, traced: TracedModel, *, buffer_bytes: int, labels_bytes: int
) -> LivePlanner:
    """Returns the planner that `[planner]` names, which is not the fixed one.

    `buffer_bytes` are those of the whole model, `labels_bytes` those of one sample as they travel.
    Raises ModelError for a minimum cut or a codec floor at a cut that the model does not have, and
    where devices should train a whole model that cannot be trained so.
    """
    batches = {DeviceId(one.id): one.batch or job.training.batch for one in fleet.devices}
    survey = CutSurvey(
        _cuts(job, traced),
        traced.flops_per_sample,
        batches,
        cut_codecs(job.codec, traced),
        known=traced.places,
    )
    slots = len(Optimiser(job.optimiser).slots_for({"weight": np.zeros(1, np.float32)}))
    return LivePlanner(
        solver=solver_of(job.planner),
        survey=survey,
        model=ModelSize(FLOAT32_BYTES * traced.parameters, buffer_bytes, slots),
        limits=_limits(job),
        labels_bytes=labels_bytes,
        hysteresis=Hysteresis(job.planner.hysteresis),
        static_shares=job.planner.shares == "static",
        turns=job.planner.name == Sequential.name,
    )


def _cuts(job: Job, traced: TracedModel) -> tuple[Cut, ...]:
    """Returns the cuts that the planner may choose from."""
    if job.planner.name == FullLocal.name:
        return (traced.cut(WHOLE_MODEL),)
    first = traced.cuts.index(traced.cut(job.cuts.minimum)) if job.cuts.minimum else 0
    whole = (traced.cut(WHOLE_MODEL),) if job.cuts.whole else ()
    return (*traced.cuts[first:], *whole)


def _limits(job: Job) -> Problem:
    memory_mb, planner = job.server.memory_mb, job.planner
    return Problem(
        devices=(),
        local_steps=job.training.local_steps,
        uplink_bytes_per_s=_bytes_per_s(planner.budget_up_mbps),
        downlink_bytes_per_s=_bytes_per_s(planner.budget_down_mbps),
        server_workers=job.server.workers,
        server_memory_bytes=None if memory_mb is None else memory_mb * _MB,
    )


def solver_of(planner: Planner) -> Solver:
    """Returns the solver that `[planner]` names, for its way to share the links."""
    solver = SOLVERS[planner.name]
    return Lending(solver) if planner.shares == "lent" else solver


def paced(job: Job) -> CourierLimits:
    """Returns the limits of a coordinator that keeps to the budgets and shares them out."""
    planner = job.planner
    if planner.name == Unpaced.name:
        return CourierLimits()
    # What devices send is what the coordinator receives, and the other way round.
    return CourierLimits(
        uplink_bytes_per_s=_bytes_per_s(planner.budget_down_mbps),
        downlink_bytes_per_s=_bytes_per_s(planner.budget_up_mbps),
    )


def _bytes_per_s(rate_mbps: float | None) -> float | None:
    return None if rate_mbps is None else rate_mbps * _BYTES_PER_MEGABIT
