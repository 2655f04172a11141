"""The shared link of a simulation and the budgets of a job: statements about one thing.

The link is as the conditions say, else as the fleet file's [shared], else as wide as the budgets
in the job's [planner]. The rates of a link that is paced, the planner knows.
"""

from __future__ import annotations

from attrs import evolve

from coordinator.fleet import Fleet
from coordinator.job import Job
from coordinator.planning.live_setup import paced
from coordinator.simulation.conditions import Conditions, Shared
from runtime.transfers.courier import CourierLimits


def with_shared(conditions: Conditions, fleet: Fleet, job: Job) -> Conditions:
    """Returns the conditions, completed by what the fleet and the job say of the shared link."""
    shared, link, planner = conditions.shared, fleet.shared, job.planner
    completed = evolve(
        shared,
        uplink_mbps=shared.uplink_mbps or link.uplink_mbps or planner.budget_up_mbps,
        downlink_mbps=shared.downlink_mbps or link.downlink_mbps or planner.budget_down_mbps,
        delay_ms=shared.delay_ms or link.delay_ms,
    )
    return evolve(conditions, shared=completed)


def told_of(shared: Shared, job: Job) -> Job:
    """Returns the job whose planner knows the rates of a paced link, where it has no budgets."""
    if not shared.paced:
        return job
    planner = evolve(
        job.planner,
        budget_up_mbps=job.planner.budget_up_mbps or shared.uplink_mbps,
        budget_down_mbps=job.planner.budget_down_mbps or shared.downlink_mbps,
    )
    return evolve(job, planner=planner)


def pacing(shared: Shared, job: Job) -> CourierLimits:
    """Returns what the coordinator keeps to: nothing on a link that nobody paces."""
    return paced(told_of(shared, job)) if shared.paced else CourierLimits()
