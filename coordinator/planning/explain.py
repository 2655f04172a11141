"""A solution in words: every device's plan, its terms, the bottleneck and what would help."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attrs import evolve, fields, frozen

from coordinator.planning.problem import DeviceProblem, Option, Problem, RoundTerms
from coordinator.planning.solution import DevicePlan, Infeasible, Solution, Solver
from runtime.ids import DeviceId

_MORE_BANDWIDTH = 1.5
_FASTER_BOARD = 2.0


@frozen
class Help:
    """A change, and the round time that the same planner predicts with it."""

    change: str
    round_s: float


def explain(
    problem: Problem,
    solver: Solver,
    solution: Solution | Infeasible,
    next_codec: Problem | None = None,
) -> str:
    """Returns the text. `next_codec` is the problem with the next coarser codecs allowed."""
    if isinstance(solution, Infeasible):
        return "\n".join(
            [f"no plan: {solution.reason}", f"to make one possible: {solution.remedy}"]
        )
    lines = [*_headline(solution), "", *_table(solution), ""]
    lines += [f"left out: {left.device}: {left.reason}" for left in solution.left_out]
    lines.append(f"bottleneck: {solution.bottleneck or 'the server'}")
    helps = what_helps(problem, solver, solution, next_codec)
    lines += [f"{_gain(help, solution)}: {help.change}" for help in helps]
    return "\n".join(lines)


def what_helps(
    problem: Problem, solver: Solver, solution: Solution, next_codec: Problem | None = None
) -> tuple[Help, ...]:
    """Plans again with one thing changed at a time; what helps most comes first."""
    helps = []
    for change, changed in _changes(problem, solution, next_codec):
        result = solver.solve(changed)
        if isinstance(result, Solution):
            helps.append(Help(change, result.round_s))
    return tuple(sorted(helps, key=lambda help: help.round_s))


def _changes(
    problem: Problem, solution: Solution, next_codec: Problem | None
) -> Iterator[tuple[str, Problem]]:
    up, down = problem.uplink_bytes_per_s, problem.downlink_bytes_per_s
    if up is not None:
        yield "50 % more uplink", evolve(problem, uplink_bytes_per_s=up * _MORE_BANDWIDTH)
    if down is not None:
        yield "50 % more downlink", evolve(problem, downlink_bytes_per_s=down * _MORE_BANDWIDTH)
    slow = solution.bottleneck
    if slow is None:
        workers = problem.server_workers + 1
        yield "one more server worker", evolve(problem, server_workers=workers)
    else:
        yield f"a board twice as fast for {slow}", _with(problem, slow, _faster)
        yield f"a link 50 % faster for {slow}", _with(problem, slow, _better_linked)
    if next_codec is not None:
        yield "the next codec", next_codec


def _with(
    problem: Problem, name: DeviceId, change: Callable[[DeviceProblem], DeviceProblem]
) -> Problem:
    devices = tuple(change(device) if device.id == name else device for device in problem.devices)
    return evolve(problem, devices=devices)


def _faster(device: DeviceProblem) -> DeviceProblem:
    return evolve(device, options=tuple(_halved(option) for option in device.options))


def _halved(option: Option) -> Option:
    return evolve(
        option,
        forward_s=option.forward_s / _FASTER_BOARD,
        backward_s=option.backward_s / _FASTER_BOARD,
    )


def _better_linked(device: DeviceProblem) -> DeviceProblem:
    return evolve(
        device,
        uplink_bytes_per_s=device.uplink_bytes_per_s * _MORE_BANDWIDTH,
        downlink_bytes_per_s=device.downlink_bytes_per_s * _MORE_BANDWIDTH,
    )


def _headline(solution: Solution) -> Iterator[str]:
    yield (
        f"{solution.planner}: a round takes {solution.round_s:.2f} s, "
        f"within {100 * solution.gap:.2g} % of what static shares allow"
    )
    yield (
        f"no plan is faster than {solution.free_bound_s:.2f} s, "
        f"none with these cuts than {solution.own_free_bound_s:.2f} s"
    )


def _table(solution: Solution) -> Iterator[str]:
    names = [field.name.removesuffix("_s").replace("_", " ") for field in fields(RoundTerms)]
    heads = ["device", "cut", "codecs", "up Mbit/s", "down Mbit/s", *names, "total s"]
    rows = [heads, *(_row(plan) for plan in solution.devices)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if index < 3 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _row(plan: DevicePlan) -> list[str]:
    times = [getattr(plan.terms, field.name) for field in fields(RoundTerms)]
    rates = (plan.rates.up_bytes_per_s, plan.rates.down_bytes_per_s)
    return [
        plan.device,
        plan.option.cut,
        f"{plan.option.codec_up}/{plan.option.codec_down}",
        *(f"{rate * 8 / 1e6:.2f}" for rate in rates),
        *(f"{time_s:.2f}" for time_s in (*times, plan.terms.total_s)),
    ]


def _gain(help: Help, solution: Solution) -> str:
    saved_s = solution.round_s - help.round_s
    return f"saves {max(0.0, saved_s):.2f} s ({100 * max(0.0, saved_s / solution.round_s):.0f} %)"
