"""The optimum by trying everything: every vector of options, the rates by nested bisection.

Nothing of the planners is used but the problem's values. For one vector of options, a deadline
can be met if at some exchange rate between the directions all devices together need no more
than both budgets; both the deadline and the exchange rate are found by bisection, for all
vectors at once.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from coordinator.planning.problem import Problem

Floats = NDArray[np.float64]
_LONGEST_S = 1e6


def best_round_s(problem: Problem) -> float:
    """Returns the shortest round time to about 1e-7; infinite if no vector fits memory."""
    compute, up, down, work, memory = _vectors(problem)
    limit = problem.server_memory_bytes
    fits = memory.sum(axis=1) <= (math.inf if limit is None else limit)
    compute, up, down, work = (array[fits] for array in (compute, up, down, work))
    if not len(compute):
        return math.inf
    caps_up, caps_down = _caps(problem)
    low = np.maximum(
        (compute + up / caps_up + down / caps_down).max(axis=1),
        work.sum(axis=1) / problem.server_workers,
    )
    budgets = (problem.uplink_bytes_per_s, problem.downlink_bytes_per_s)
    high = np.full_like(low, _LONGEST_S)
    ok = _meets(low * (1 + 1e-12), compute, up, down, caps_up, caps_down, budgets)
    high = np.where(ok, low, high)
    best = float(high.min())
    for _ in range(60):
        # Deadlines span decades: halve the ratio.
        middle = np.sqrt(low * high)
        ok = _meets(middle, compute, up, down, caps_up, caps_down, budgets)
        low, high = np.where(ok, low, middle), np.where(ok, middle, high)
        best = min(best, float(high.min()))
        alive = low < best
        if not alive.any() or (high / low)[alive].max() < 1 + 1e-8:
            break
        compute, up, down = compute[alive], up[alive], down[alive]
        low, high = low[alive], high[alive]
    return best


def _vectors(problem: Problem) -> tuple[Floats, ...]:
    """Returns compute, bytes up, bytes down, work and memory [vectors, devices]."""
    steps = problem.local_steps
    rows = [
        [
            (
                steps * (o.forward_s + o.backward_s + o.server_s),
                o.state_bytes + steps * o.up_bytes,
                o.state_bytes + steps * o.down_bytes,
                steps * o.server_s,
                o.replica_memory_bytes,
            )
            for o in device.options
            if o.device_memory_bytes <= device.memory_bytes
        ]
        for device in problem.devices
    ]
    return tuple(np.moveaxis(np.array(list(itertools.product(*rows))), 2, 0))


def _caps(problem: Problem) -> tuple[Floats, Floats]:
    up = [device.uplink_bytes_per_s for device in problem.devices]
    down = [device.downlink_bytes_per_s for device in problem.devices]
    return (
        np.minimum(up, problem.uplink_bytes_per_s or math.inf),
        np.minimum(down, problem.downlink_bytes_per_s or math.inf),
    )


def _meets(
    deadline: Floats,
    compute: Floats,
    up: Floats,
    down: Floats,
    caps_up: Floats,
    caps_down: Floats,
    budgets: tuple[float | None, float | None],
) -> NDArray[np.bool_]:
    """Tells for every vector whether its deadline can be met."""
    budget_up, budget_down = (math.inf if budget is None else budget for budget in budgets)
    slack = deadline[:, None] - compute
    shortest, longest = up / caps_up, slack - down / caps_down
    possible = (longest >= shortest * (1 - 1e-12)).all(axis=1)
    met = np.zeros(len(deadline), np.bool_)
    low, high = np.full(len(deadline), -40.0), np.full(len(deadline), 40.0)
    for _ in range(60):
        exchange = np.exp((low + high) / 2)[:, None]
        # Least up/x + exchange * down/(slack - x), for x within the device's own link.
        x = slack * np.sqrt(up) / np.maximum(np.sqrt(up) + np.sqrt(exchange * down), 1e-300)
        x = np.clip(x, shortest, np.maximum(longest, shortest))
        rest = np.maximum(slack - x, down / caps_down)
        need_up = (up / np.maximum(x, 1e-300)).sum(axis=1)
        need_down = (down / np.maximum(rest, 1e-300)).sum(axis=1)
        fits_up, fits_down = need_up <= budget_up, need_down <= budget_down
        met |= possible & fits_up & fits_down
        # Short of downlink: make it dearer, so that devices take more time down.
        low = np.where(~fits_down, (low + high) / 2, low)
        high = np.where(fits_down, (low + high) / 2, high)
        if (met | ~possible | (~fits_up & ~fits_down)).all():
            break
    return met
