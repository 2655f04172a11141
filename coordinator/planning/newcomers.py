"""Who comes when there is no room for all is left out; those that train already go on."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Sequence

from attrs import evolve

from coordinator.planning.problem import DeviceProblem, Problem
from coordinator.planning.solution import Infeasible, LeftOut, Solution
from runtime.ids import DeviceId

Answer = Solution | Infeasible
Solve = Callable[[Problem], Answer]


def solve_with_room(problem: Problem, solve: Solve, training: Container[DeviceId]) -> Answer:
    """Returns the plan for those that are `training` and for as many others as have room.

    Those come first that take least of the server's memory. Infeasible where not even those that
    are training can go on together.
    """
    whole = solve(problem)
    if isinstance(whole, Solution):
        return whole
    needs_bytes = {one.id: _least_bytes(one) for one in problem.devices if one.id not in training}
    # Of the others there is nothing to say but what the solver says: no option fits them.
    coming = sorted((size, name) for name, size in needs_bytes.items() if size < math.inf)
    return _with_most(problem, solve, [name for _, name in coming], whole)


def _with_most(
    problem: Problem, solve: Solve, coming: Sequence[DeviceId], why: Infeasible
) -> Answer:
    """Finds by halving how many of those that come can be taken in; `why` not all of them."""
    best: Answer = why
    fit, short = -1, len(coming)
    while short - fit > 1:
        count = (fit + short) // 2
        answer = solve(_without(problem, coming[count:]))
        if isinstance(answer, Solution):
            fit, best = count, answer
        else:
            short, why = count, answer
    if isinstance(best, Infeasible):
        return best
    reason = f"there is no room for it yet: {why.reason}; {why.remedy}"
    waiting = tuple(LeftOut(name, reason) for name in coming[fit:])
    return evolve(best, left_out=(*best.left_out, *waiting))


def _without(problem: Problem, names: Sequence[DeviceId]) -> Problem:
    gone = set(names)
    return evolve(problem, devices=tuple(one for one in problem.devices if one.id not in gone))


def _least_bytes(device: DeviceProblem) -> float:
    """Returns what a device takes of the server's memory at least, infinity if nothing fits it."""
    limit_bytes = device.memory_bytes
    fitting = (one for one in device.options if one.device_memory_bytes <= limit_bytes)
    return min((one.replica_memory_bytes for one in fitting), default=math.inf)
