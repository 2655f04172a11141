"""Static shares as buckets keep them: letters are through sooner than their rate alone allows.

A bucket saves up while its device computes, and lets the last message of a letter go in debt, which
it pays off in the next pause. So much of every letter goes at the rate of the link.
"""

from __future__ import annotations

import math

from attrs import evolve

from coordinator.planning.problem import Problem, RoundTerms
from coordinator.planning.solution import DevicePlan, Solution
from runtime.transfers.link_rate import chunk_bytes_at
from runtime.transfers.pacer import BURST_S


def with_head_starts(problem: Problem, solution: Solution) -> Solution:
    """Returns a solution with static shares as foretold for devices that buckets hold to them."""
    plans = tuple(evolve(plan, terms=_terms(problem, plan)) for plan in solution.devices)
    round_s = max(solution.queue_s, *(plan.terms.total_s for plan in plans))
    return evolve(solution, devices=plans, round_s=round_s)


def _terms(problem: Problem, plan: DevicePlan) -> RoundTerms:
    steps, option, terms = problem.local_steps, plan.option, plan.terms
    up = plan.rates.up_bytes_per_s, problem.uplink_bytes_per_s
    down = plan.rates.down_bytes_per_s, problem.downlink_bytes_per_s
    return evolve(
        terms,
        state_down_s=terms.state_down_s - _gained_s(option.state_bytes, *down),
        upload_s=terms.upload_s - steps * _gained_s(option.up_bytes, *up),
        download_s=terms.download_s - steps * _gained_s(option.down_bytes, *down),
        state_up_s=terms.state_up_s - _gained_s(option.state_bytes, *up),
    )


def _gained_s(size_bytes: float, rate: float, shared: float | None) -> float:
    """Returns how much sooner a letter is through than its rate alone says.

    A link of the device's own looks no faster than its share, and is taken for one that is.
    """
    if size_bytes == 0 or rate == 0 or shared is None:
        return 0.0
    message_bytes = chunk_bytes_at(math.inf, shared)
    before_bytes = message_bytes * (math.ceil(size_bytes / message_bytes) - 1)
    last_s = before_bytes / rate - BURST_S + (size_bytes - before_bytes) / shared
    return max(0.0, size_bytes / rate - max(last_s, size_bytes / shared))
