"""Plans for shares that lend: what a solver's plan really takes, and whether other cuts take less.

Solvers prove what is best for static shares. When shares lend, a device gets more than its own
whenever another computes, so that cuts which send more may win. No closed form tells which: the
search here moves one cut at a time and asks the fluid model, starting from the proven plan.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import ClassVar

from attrs import evolve, field, frozen

from coordinator.planning.alternating import Alternating
from coordinator.planning.equal_bandwidth import EqualBandwidth
from coordinator.planning.fluid import lent_terms
from coordinator.planning.optimal import Optimal
from coordinator.planning.problem import (
    DeviceProblem,
    Option,
    Problem,
    Rates,
    fair_rates,
    terms,
)
from coordinator.planning.solution import DevicePlan, Infeasible, Solution, Solver
from coordinator.planning.unpaced import Unpaced

_FORETOLD_DEVICES = 100
_SEARCHED_DEVICES = 24
"""Beyond, devices are so many that the links never idle, and static shares lose little."""
_TRIALS = 60
_STEPS_TRIED, _STEPS_TOLD = 32, 128
"""Local steps of all devices together that are played for a trial, and for an answer."""
_LEAST_STEPS = 3
_NEAR = 0.01
_SAME = 1e-3
_RIVALS: tuple[Solver, ...] = (EqualBandwidth(), Alternating())
_LEAST_SLACK = 1e-3


@frozen
class Lending:
    """A solver whose plans are foretold, and those of `optimal` improved, for shares that lend.

    The ratios of the `rates` of its solutions are what devices are guaranteed while they send.
    """

    solver: Solver = field(factory=Optimal)
    name: ClassVar[str] = "lending"

    def solve(self, problem: Problem) -> Solution | Infeasible:
        proven = self.solver.solve(problem)
        if isinstance(proven, Infeasible) or proven.sharing == "turns":
            return proven
        lent = foretold(problem, proven)
        if not isinstance(self.solver, Optimal) or len(lent.devices) > _SEARCHED_DEVICES:
            return lent
        starts = [lent, *_others(problem, proven)]
        found = _searched(problem, min(starts, key=_round_s))
        best = min([*starts, foretold(problem, found)], key=_round_s)
        return _out_of_the_way(problem, best)


def foretold(problem: Problem, solution: Solution, *, steps: int = _STEPS_TOLD) -> Solution:
    """Returns the solution with the terms and the round time that lending gives it.

    `steps` of all devices together are played at most, but three of each. Fleets with more than
    a hundred devices keep their static terms.
    """
    count = len(solution.devices)
    if count > _FORETOLD_DEVICES:
        return solution
    each = max(_LEAST_STEPS, steps // count)
    told = lent_terms(problem, solution.devices, guaranteed(solution), steps=each)
    devices = tuple(
        evolve(plan, terms=one) for plan, one in zip(solution.devices, told, strict=True)
    )
    work_s = sum(problem.local_steps * plan.option.server_s for plan in devices)
    return evolve(
        solution,
        sharing="lent",
        devices=devices,
        round_s=max(one.total_s for one in told),
        queue_s=work_s / problem.server_workers,
        own_free_bound_s=_own_free_bound_s(problem, devices),
    )


def _own_free_bound_s(problem: Problem, plans: Sequence[DevicePlan]) -> float:
    """Returns the bound of `coordinator.planning.bounds.free_bound_of_s`, from plans."""
    devices, steps = {device.id: device for device in problem.devices}, problem.local_steps
    options = [plan.option for plan in plans]
    up = sum(one.state_bytes + steps * one.up_bytes for one in options)
    down = sum(one.state_bytes + steps * one.down_bytes for one in options)
    return max(
        *(_alone_s(problem, devices[plan.device], plan.option) for plan in plans),
        up / (problem.uplink_bytes_per_s or math.inf),
        down / (problem.downlink_bytes_per_s or math.inf),
        sum(steps * one.server_s for one in options) / problem.server_workers,
    )


def guaranteed(solution: Solution) -> tuple[Rates, ...]:
    """Returns the weights of the plan's devices: their rates; all the same if nobody paces."""
    if solution.planner == Unpaced.name:
        return tuple(Rates(1.0, 1.0) for _ in solution.devices)
    least = 1e-3 * max(
        max(plan.rates.up_bytes_per_s, plan.rates.down_bytes_per_s) for plan in solution.devices
    )
    return tuple(
        Rates(max(least, plan.rates.up_bytes_per_s), max(least, plan.rates.down_bytes_per_s))
        for plan in solution.devices
    )


def _others(problem: Problem, proven: Solution) -> Iterator[Solution]:
    """Yields plans that are worse with static shares, but may win when shares lend."""
    yield foretold(problem, _evened(proven))
    if all(len(device.options) == 1 for device in problem.devices):
        return  # With nothing to choose, rivals have other weights alone, which the search tries.
    for solver in _RIVALS:
        rival = solver.solve(problem)
        if isinstance(rival, Solution) and rival.left_out == proven.left_out:
            bounds = evolve(rival, planner=proven.planner, static_bound_s=proven.static_bound_s)
            yield foretold(problem, bounds)


def _round_s(solution: Solution) -> float:
    return solution.round_s


def _searched(problem: Problem, start: Solution) -> Solution:
    """Moves cuts, the slowest devices' first, for as long as a move makes the round shorter."""
    best = foretold(problem, start, steps=_STEPS_TRIED)
    trials_left = _TRIALS
    improved = True
    while improved and trials_left > 0 and best.round_s > best.free_bound_s * (1 + _NEAR):
        improved = False
        for trial in _moves(problem, best):
            trials_left -= 1
            told = foretold(problem, trial, steps=_STEPS_TRIED)
            if told.round_s < best.round_s * (1 - _NEAR):
                best, improved = told, True
                break
            if trials_left <= 0:
                break
    return best


def _out_of_the_way(problem: Problem, best: Solution) -> Solution:
    """Gives devices that nobody waits for the cuts that suit them on a crowded link.

    Whatever they take, the model foretells the same round; in reality, what they send less of is
    in nobody's way.
    """
    devices = {device.id: device for device in problem.devices}
    limit_s = best.round_s * (1 + _SAME)
    for plan in sorted(best.devices, key=lambda plan: (plan.terms.total_s, plan.device)):
        fair = fair_rates(problem, devices[plan.device])
        options = [plan.option, *_promising(problem, devices[plan.device], plan.option, best)]
        quickest = min(options, key=lambda one: terms(one, fair, problem.local_steps).total_s)
        if quickest != plan.option:
            told = foretold(problem, _with(best, plan, quickest))
            if told.round_s <= limit_s:
                best = told
    return best


def _with(best: Solution, plan: DevicePlan, option: Option) -> Solution:
    return evolve(
        best,
        devices=tuple(
            evolve(one, option=option) if one.device == plan.device else one for one in best.devices
        ),
    )


def _moves(problem: Problem, best: Solution) -> Iterator[Solution]:
    """Yields the plan with one cut moved, and with shares that aim at the time to beat."""
    devices = {device.id: device for device in problem.devices}
    slowest_first = sorted(best.devices, key=lambda plan: (-plan.terms.total_s, plan.device))
    yield _evened(best)
    yield _aimed(problem, best, best.devices)
    for plan in slowest_first:
        for option in _promising(problem, devices[plan.device], plan.option, best):
            yield _aimed(problem, best, _with(best, plan, option).devices)


def _evened(best: Solution) -> Solution:
    even = Rates(1.0, 1.0)
    return evolve(best, devices=tuple(evolve(plan, rates=even) for plan in best.devices))


def _promising(
    problem: Problem, device: DeviceProblem, now: Option, best: Solution
) -> list[Option]:
    """Returns options that fit, and that alone on its link the device ends in time with."""
    server_bytes = sum(plan.option.replica_memory_bytes for plan in best.devices)
    limit = problem.server_memory_bytes
    room = math.inf if limit is None else limit - server_bytes + now.replica_memory_bytes
    return sorted(
        (
            option
            for option in device.options
            if option != now
            and option.is_whole_model == now.is_whole_model
            and option.device_memory_bytes <= device.memory_bytes
            and option.replica_memory_bytes <= room
            and _alone_s(problem, device, option) < best.round_s
        ),
        key=lambda option: _alone_s(problem, device, option),
    )


def _alone_s(problem: Problem, device: DeviceProblem, option: Option) -> float:
    up = min(device.uplink_bytes_per_s, problem.uplink_bytes_per_s or math.inf)
    down = min(device.downlink_bytes_per_s, problem.downlink_bytes_per_s or math.inf)
    return terms(option, Rates(up, down), problem.local_steps).total_s


def _aimed(problem: Problem, best: Solution, devices: Sequence[DevicePlan]) -> Solution:
    """Returns the plan with the rates that bring everybody home at the time to beat."""
    return evolve(
        best,
        devices=tuple(
            evolve(plan, rates=_needed(problem, plan.option, best.round_s)) for plan in devices
        ),
    )


def _needed(problem: Problem, option: Option, round_s: float) -> Rates:
    steps = problem.local_steps
    work_s = steps * (option.forward_s + option.server_s + option.backward_s)
    slack_s = max(_LEAST_SLACK * round_s, round_s - work_s)
    up = option.state_bytes + steps * option.up_bytes
    down = option.state_bytes + steps * option.down_bytes
    return Rates(up / slack_s, down / slack_s)
