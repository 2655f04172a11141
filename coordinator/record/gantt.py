"""Drawing a round: what every board does when, each phase a bar, one lane beside the other."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from runtime.atomic_file import write_atomically

_INK = "#333333"
_GRID = "#e3e3e3"
PHASES: dict[str, tuple[str, str]] = {
    "opening_s": ("opening", "#cccccc"),
    "state_down_s": ("layer state down", "#cc79a7"),
    "forward_s": ("forward", "#009e73"),
    "upload_s": ("upload", "#56b4e9"),
    "queue_s": ("server's queue", "#f3d28b"),
    "server_s": ("server", "#e69f00"),
    "download_s": ("download", "#0072b2"),
    "backward_s": ("backward", "#00664b"),
    "state_up_s": ("layer state up", "#8d4f72"),
}
"""Label and colour in the order of a round: the palette of Okabe and Ito, and shades of it."""
STEP_PHASES = ("forward_s", "upload_s", "queue_s", "server_s", "download_s", "backward_s")
MOST_ROWS = 30
_ROW_INCHES = 0.38
_PAIR_INCHES = 0.56
_FULL = (0.0, 0.62)
_UPPER, _LOWER = (-0.14, 0.42), (0.24, 0.24)
"""Middle and height of a bar, in rows: alone, and of two in one row."""


@frozen
class Lane:
    """One board's round: seconds by phase, from `start_s` on."""

    terms: Mapping[str, float]
    start_s: float = 0.0


@frozen
class Row:
    """A board: its name, its lane and, beside it, how it was planned."""

    name: str
    lane: Lane
    planned: Lane | None = None
    bold: bool = False

    def lanes(self) -> list[tuple[Lane, tuple[float, float], float]]:
        """Returns every lane with its place in the row and how opaque it is."""
        if self.planned is None:
            return [(self.lane, _FULL, 1.0)]
        return [(self.lane, _UPPER, 1.0), (self.planned, _LOWER, 0.55)]


@frozen
class Gantt:
    """A picture: rows, the lines that mark times of the round, and titles.

    `marks` are seconds with their words and a style of line; the last one ends the axis. Steps
    are drawn to scale where there are `local_steps`.
    """

    title: str
    subtitle: str
    rows: Sequence[Row]
    marks: Sequence[tuple[float, str, str]]
    local_steps: int
    _phases: tuple[str, ...] = field(init=False)

    @_phases.default
    def _(self) -> tuple[str, ...]:
        lanes = [lane for row in self.rows for lane, _, _ in row.lanes()]
        return tuple(name for name in PHASES if any(lane.terms.get(name) for lane in lanes))

    def write(self, path: Path) -> None:
        """Writes a PNG. Raises StorageError."""
        paired = any(row.planned is not None for row in self.rows)
        height = 2.2 + (_PAIR_INCHES if paired else _ROW_INCHES) * len(self.rows)
        figure = Figure(figsize=(13, height), layout="constrained")
        figure.suptitle(self.title, color=_INK, fontsize=12, x=0.01, ha="left", weight="bold")
        whole, step = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        self._draw_round(whole)
        self._draw_step(step)
        handles = [Patch(color=PHASES[name][1], label=PHASES[name][0]) for name in self._phases]
        figure.legend(
            handles=handles, loc="outside lower center", ncols=9, frameon=False, fontsize=9
        )
        image = io.BytesIO()
        figure.savefig(image, format="png", dpi=130)
        write_atomically(path, image.getvalue())

    def _draw_round(self, axes: Any) -> None:
        _tidy(axes, self.subtitle)
        for number, row in enumerate(self.rows):
            _bars(axes, number, row, tuple(PHASES), 1)
        for line, mark in enumerate(self.marks):
            _mark(axes, line, *mark)
        axes.set_yticks(range(len(self.rows)), [row.name for row in self.rows], fontsize=9)
        axes.set_xlim(0, self.marks[-1][0] * 1.02)
        axes.set_ylim(len(self.rows) - 0.4, -0.55 - 0.2 * len(self.marks))
        for label, row in zip(axes.get_yticklabels(), self.rows, strict=True):
            label.set_weight("bold" if row.bold else "normal")

    def _draw_step(self, axes: Any) -> None:
        _tidy(axes, "One local step")
        for number, row in enumerate(self.rows):
            _bars(axes, number, row, STEP_PHASES, self.local_steps)
        axes.set_xlim(left=0)


def _bars(axes: Any, number: int, row: Row, phases: Sequence[str], parts: int) -> None:
    for lane, (middle, height), alpha in row.lanes():
        at_s = lane.start_s if parts == 1 else 0.0
        for name in phases:
            length_s = lane.terms.get(name, 0.0) / parts
            color = PHASES[name][1]
            axes.barh(number + middle, length_s, left=at_s, height=height, color=color, alpha=alpha)
            at_s += length_s


def _mark(axes: Any, line: int, at_s: float, text: str, style: str) -> None:
    axes.axvline(at_s, color=_INK, lw=1.0, ls=style)
    axes.annotate(
        text,
        (at_s, -0.72 - 0.2 * line),
        xytext=(-4, 0),
        textcoords="offset points",
        ha="right",
        va="top",
        color=_INK,
        fontsize=8,
    )


def _tidy(axes: Any, title: str) -> None:
    axes.set_title(title, color=_INK, fontsize=10, loc="left")
    axes.set_xlabel("s", color=_INK)
    axes.grid(axis="x", color=_GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_INK)
