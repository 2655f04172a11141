"""Moves a cut only where that pays: measurements waver, and every move costs a transfer."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve, frozen

from coordinator.planning.problem import DeviceProblem, Problem, fair_rates
from coordinator.planning.solution import Infeasible, Solution, Solver
from runtime.ids import DeviceId

Cuts = Mapping[DeviceId, str]

_HORIZON_ROUNDS = 5
"""Nobody knows what the links are like after so many rounds."""
_MOVES_WEIGHED_SINGLY = 16


@frozen
class Hysteresis:
    """Keeps the cuts of the last plan unless a round gets shorter by the part `threshold`.

    The time saved over the rounds to come, at most five, must also exceed that of carrying the
    layers that change sides.
    """

    threshold: float = 0.05

    def solve(
        self, problem: Problem, solver: Solver, before: Cuts, rounds_left: int
    ) -> Solution | Infeasible:
        """Returns the plan to take, where `before` are the cuts that devices have now."""
        free = solver.solve(problem)
        if not before or isinstance(free, Infeasible):
            return free
        kept = solver.solve(_held(problem, before))
        if isinstance(kept, Infeasible) or len(kept.left_out) > len(free.left_out):
            return free
        gain_s = kept.round_s - free.round_s
        rounds = min(rounds_left, _HORIZON_ROUNDS)
        if gain_s <= self.threshold * kept.round_s or gain_s * rounds <= _moving_s(
            problem, kept, free
        ):
            return kept
        return self._with_fewer_moves(problem, solver, before, free)

    def _with_fewer_moves(
        self, problem: Problem, solver: Solver, before: Cuts, free: Solution
    ) -> Solution:
        """Takes back, one by one, the moves that hardly matter."""
        best, cuts = free, _cuts(free)
        moved = [name for name in sorted(cuts) if before.get(name, cuts[name]) != cuts[name]]
        if len(moved) > _MOVES_WEIGHED_SINGLY:
            return free
        limit_s = free.round_s * (1 + self.threshold / 2)
        for name in moved:
            trial = {**cuts, name: before[name]}
            result = solver.solve(_held(problem, trial))
            if isinstance(result, Solution) and result.round_s <= limit_s:
                best, cuts = result, _cuts(result)
        return best


def _held(problem: Problem, cuts: Cuts) -> Problem:
    devices = tuple(_device_held(device, cuts.get(device.id)) for device in problem.devices)
    return evolve(problem, devices=devices)


def _device_held(device: DeviceProblem, cut: str | None) -> DeviceProblem:
    options = tuple(one for one in device.options if one.cut == cut)
    return evolve(device, options=options) if options else device


def _cuts(solution: Solution) -> dict[DeviceId, str]:
    return {plan.device: plan.option.cut for plan in solution.devices}


def _moving_s(problem: Problem, kept: Solution, free: Solution) -> float:
    """Returns the time to carry the layers that change sides; devices do it side by side.

    Not by the rates of the plans: of shares that lend, those are weights.
    """
    devices = {device.id: device for device in problem.devices}
    old = {plan.device: plan.option.state_bytes for plan in kept.devices}
    carried = [
        (abs(plan.option.state_bytes - old[plan.device]), devices[plan.device])
        for plan in free.devices
        if plan.device in old
    ]
    return max(
        (size / fair_rates(problem, device).down_bytes_per_s for size, device in carried if size),
        default=0.0,
    )
