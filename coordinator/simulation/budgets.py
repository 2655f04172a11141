"""The budgets of a job and the shared link of a simulation: two statements about one thing.

What the job's [planner] gives as a budget, the shared link has as a rate unless the conditions
say otherwise; what the conditions say of a link that is paced, the planner knows.
"""

from __future__ import annotations

from attrs import evolve

from coordinator.job import Job
from coordinator.planning.live_setup import paced
from coordinator.simulation.conditions import Conditions, Shared
from runtime.transfers.courier import CourierLimits


def with_budgets(conditions: Conditions, job: Job) -> Conditions:
    """Returns the conditions whose shared link is as wide as the job's budgets."""
    shared, planner = conditions.shared, job.planner
    link = evolve(
        shared,
        uplink_mbps=shared.uplink_mbps or planner.budget_up_mbps,
        downlink_mbps=shared.downlink_mbps or planner.budget_down_mbps,
    )
    return evolve(conditions, shared=link)


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
