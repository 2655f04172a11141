"""Pictures: a cycle's time by contender and link, and accuracy over simulated time."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmarks.paper.contenders import FEDAVG, PAPER, PRODUCT, SEQUENTIAL, Contender
from benchmarks.paper.results import Results
from benchmarks.paper.scene import BUDGETS_MBPS, CURVE_BUDGET_MBPS, MODELS
from benchmarks.paper.tables import STATIC
from runtime.atomic_file import write_atomically

_INK, _GRID = "#333333", "#e3e3e3"
_COLORS = ("#0072b2", "#56b4e9", "#e69f00", "#d55e00", "#cc79a7", "#009e73", "#999999")
"""The palette of Okabe and Ito, which people with colour blindness can tell apart."""
_SHOWN: Sequence[tuple[str, Contender]] = (
    ("optimal, int8, lent: EdgeSplit", PRODUCT),
    ("optimal, fp32, lent", Contender("optimal", "fp32", "lent")),
    ("optimal, fp32, static", STATIC),
    ("alternating, fp32, static: the paper", PAPER),
    ("common cut, fp32, static: SplitFed", Contender("common-cut", "fp32", "static")),
    ("whole models: FedAvg", FEDAVG),
    ("one after the other: split learning", SEQUENTIAL),
)


def draw_cycles(results: Results, path: Path) -> None:
    """Writes a PNG with bars for every link and contender, one panel for each model."""
    _draw(_draw_bars, results, path)


def draw_accuracy(results: Results, path: Path) -> None:
    """Writes a PNG of accuracy over simulated time on the link in the middle."""
    _draw(_draw_curves, results, path)


def _draw(panel: Callable[[Any, Results, str], None], results: Results, path: Path) -> None:
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    panels = figure.subplots(1, len(MODELS))
    for axes, model in zip(panels, MODELS, strict=True):
        panel(axes, results, model)
    _explain(figure, panels[0])
    _save(figure, path)


def _draw_bars(axes: Any, results: Results, model: str) -> None:
    width = 0.8 / len(_SHOWN)
    for index, ((words, one), color) in enumerate(zip(_SHOWN, _COLORS, strict=True)):
        times = [results.timing(model, budget, one).cycles.later_s for budget in BUDGETS_MBPS]
        places = [number + (index - len(_SHOWN) / 2 + 0.5) * width for number in range(len(times))]
        axes.bar(places, times, width * 0.92, color=color, label=words)
    _tidy(axes, f"{model}: simulated seconds a cycle", "link shared by all boards, each way")
    axes.set_yscale("log")
    _plain(axes.yaxis)
    axes.set_xticks(range(len(BUDGETS_MBPS)), [f"{b:g} Mbit/s" for b in BUDGETS_MBPS])


def _draw_curves(axes: Any, results: Results, model: str) -> None:
    for (words, one), color in zip(_SHOWN, _COLORS, strict=True):
        timing = results.timing(model, CURVE_BUDGET_MBPS, one)
        accuracies = results.curve(model, one).accuracies
        minutes = [timing.cycles.until(n) / 60 for n in range(1, len(accuracies) + 1)]
        axes.plot(minutes, [100 * one for one in accuracies], color=color, lw=1.6, label=words)
    title = f"{model}: accuracy, % (times of the full, learning of the narrow model)"
    _tidy(axes, title, f"simulated minutes at {CURVE_BUDGET_MBPS:g} Mbit/s")
    axes.set_xscale("log")
    _plain(axes.xaxis)


def _plain(axis: Any) -> None:
    """Writes the numbers of a logarithmic axis as people do: 1, 2, 5, 10."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def _explain(figure: Figure, axes: Any) -> None:
    handles, words = axes.get_legend_handles_labels()
    style: dict[str, Any] = {"frameon": False, "labelcolor": _INK, "fontsize": 8}
    figure.legend(handles, words, loc="outside lower center", ncols=4, **style)


def _tidy(axes: Any, title: str, abscissa: str) -> None:
    axes.set_title(title, color=_INK, fontsize=9, loc="left")
    axes.set_xlabel(abscissa, color=_INK, fontsize=9)
    axes.grid(color=_GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, length=0, labelsize=8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_INK)


def _save(figure: Figure, path: Path) -> None:
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=100)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, image.getvalue())
