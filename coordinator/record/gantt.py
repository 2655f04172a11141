"""The picture of one planned round: what every board does when, and what it waits for."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from attrs import frozen
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from coordinator.planning.problem import RoundTerms
from coordinator.planning.solution import DevicePlan, Solution
from runtime.atomic_file import write_atomically

_INK = "#333333"
_FAINT = "#888888"
_GRID = "#e3e3e3"
_PHASES: dict[str, tuple[str, str]] = {
    "state_down_s": ("layer state down", "#cc79a7"),
    "forward_s": ("forward", "#009e73"),
    "upload_s": ("upload", "#56b4e9"),
    "server_s": ("server", "#e69f00"),
    "download_s": ("download", "#0072b2"),
    "backward_s": ("backward", "#00664b"),
    "state_up_s": ("layer state up", "#8d4f72"),
}
"""Label and colour: the palette of Okabe and Ito, and darker shades of it."""
_STEP_PHASES = ("forward_s", "upload_s", "server_s", "download_s", "backward_s")
_MOST_ROWS = 30
_ROW_INCHES = 0.38


@frozen
class _Block:
    """A stretch of one colour, in seconds."""

    start_s: float
    length_s: float
    color: str


def plot_round(solution: Solution, local_steps: int, path: Path, title: str) -> None:
    """Writes a PNG: each device's round with its local steps summed up, and one step to scale.

    Of many devices the slowest are drawn. Raises StorageError.
    """
    plans = _slowest(solution)
    figure = Figure(figsize=(13, 2.2 + _ROW_INCHES * len(plans)), layout="constrained")
    figure.suptitle(title, color=_INK, fontsize=12, x=0.01, ha="left", weight="bold")
    whole, step = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    _draw_round(whole, solution, plans, local_steps)
    _draw_step(step, plans, local_steps)
    handles = [Patch(color=color, label=label) for label, color in _PHASES.values()]
    figure.legend(handles=handles, loc="outside lower center", ncols=7, frameon=False, fontsize=9)
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=130)
    write_atomically(path, image.getvalue())


def _slowest(solution: Solution) -> tuple[DevicePlan, ...]:
    """Returns the devices to draw, in the order of the plan."""
    ranked = sorted(solution.devices, key=lambda plan: plan.terms.total_s, reverse=True)
    shown = {plan.device for plan in ranked[:_MOST_ROWS]}
    return tuple(plan for plan in solution.devices if plan.device in shown)


def _draw_round(
    axes: Any, solution: Solution, plans: Sequence[DevicePlan], local_steps: int
) -> None:
    left_away = len(solution.devices) - len(plans)
    title = f"One round; its {local_steps} local steps summed up by phase"
    _tidy(axes, f"{title}; {left_away} faster boards not shown" if left_away else title)
    starts_s = _starts_s(solution)
    for row, plan in enumerate(plans):
        _bars(axes, row, _blocks(plan.terms, tuple(_PHASES), 1, starts_s[plan.device]))
    _mark(axes, solution.round_s, f"round ends: {solution.round_s:.2f} s", "-")
    axes.set_yticks(range(len(plans)), [_name(plan) for plan in plans], fontsize=9)
    axes.set_xlim(0, solution.round_s * 1.02)
    axes.set_ylim(len(plans) - 0.4, -0.75)
    for label, plan in zip(axes.get_yticklabels(), plans, strict=True):
        label.set_weight("bold" if plan.device == solution.bottleneck else "normal")


def _draw_step(axes: Any, plans: Sequence[DevicePlan], local_steps: int) -> None:
    _tidy(axes, "One local step")
    for row, plan in enumerate(plans):
        _bars(axes, row, _blocks(plan.terms, _STEP_PHASES, local_steps, 0.0))
    axes.set_xlim(left=0)


def _starts_s(solution: Solution) -> dict[str, float]:
    """Returns when each device's round begins: at once, or after the ones before it."""
    times_s = [plan.terms.total_s for plan in solution.devices]
    begins = list(accumulate(times_s[:-1], initial=0.0))
    if solution.sharing == "static":
        begins = [0.0] * len(times_s)
    return {plan.device: begin for plan, begin in zip(solution.devices, begins, strict=True)}


def _blocks(
    terms: RoundTerms, phases: Sequence[str], parts: int, start_s: float
) -> Iterator[_Block]:
    """Yields the phases one after the other, each divided by `parts`."""
    for name in phases:
        length_s = getattr(terms, name) / parts
        yield _Block(start_s, length_s, _PHASES[name][1])
        start_s += length_s


def _bars(axes: Any, row: int, blocks: Iterator[_Block]) -> None:
    for block in blocks:
        axes.barh(row, block.length_s, left=block.start_s, height=0.62, color=block.color)


def _mark(axes: Any, at_s: float, text: str, style: str) -> None:
    axes.axvline(at_s, color=_INK, lw=1.0, ls=style)
    axes.annotate(
        text,
        (at_s, -0.72),
        xytext=(-4, 0),
        textcoords="offset points",
        ha="right",
        va="top",
        color=_INK,
        fontsize=8,
    )


def _name(plan: DevicePlan) -> str:
    return f"{plan.device}\n{plan.option.cut}"


def _tidy(axes: Any, title: str) -> None:
    axes.set_title(title, color=_INK, fontsize=10, loc="left")
    axes.set_xlabel("s", color=_INK)
    axes.grid(axis="x", color=_GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_INK)
