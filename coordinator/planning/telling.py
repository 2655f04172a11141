"""Turns a draft, which is arrays, into a solution that names devices, options and terms."""

from __future__ import annotations

from coordinator.planning.admission import Admitted
from coordinator.planning.bounds import free_bound_of_s, free_bound_s, static_bound_s
from coordinator.planning.draft import Draft
from coordinator.planning.problem import DeviceProblem, Problem, Rates, terms
from coordinator.planning.solution import DevicePlan, Sharing, Solution


def tell(
    admitted: Admitted,
    planner: str,
    draft: Draft,
    *,
    bound_s: float | None = None,
    sharing: Sharing = "static",
) -> Solution:
    """Returns the solution. `bound_s` is the static bound if the planner has proved one."""
    problem, tables = admitted.problem, admitted.tables
    up, down = draft.up_bytes_per_s.tolist(), draft.down_bytes_per_s.tolist()
    plans = tuple(
        _plan(problem, device, option, Rates(*rates))
        for device, option, *rates in zip(
            problem.devices, draft.ids.tolist(), up, down, strict=True
        )
    )
    if bound_s is None:
        bound_s = static_bound_s(tables, draft.round_s)
    return Solution(
        planner=planner,
        sharing=sharing,
        devices=plans,
        round_s=round_time_s(problem, plans, sharing),
        queue_s=queue_s(problem, plans),
        static_bound_s=bound_s,
        free_bound_s=free_bound_s(tables, draft.round_s),
        own_free_bound_s=free_bound_of_s(tables, draft.ids),
        left_out=admitted.left_out,
    )


def round_time_s(problem: Problem, plans: tuple[DevicePlan, ...], sharing: Sharing) -> float:
    """Returns the predicted time of a round."""
    times = [plan.terms.total_s for plan in plans]
    return sum(times) if sharing == "turns" else max(*times, queue_s(problem, plans))


def queue_s(problem: Problem, plans: tuple[DevicePlan, ...]) -> float:
    """Returns the server's work of a round over its workers."""
    return sum(plan.terms.server_s for plan in plans) / problem.server_workers


def _plan(problem: Problem, device: DeviceProblem, option: int, rates: Rates) -> DevicePlan:
    chosen = device.options[option]
    return DevicePlan(device.id, chosen, rates, terms(chosen, rates, problem.local_steps))
