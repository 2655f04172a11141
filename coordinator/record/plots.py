"""The picture of a run: how good the model became, and what it cost in bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from coordinator.record.run_record import Entry
from coordinator.record.summary import bytes_by_round, device_ids
from runtime.atomic_file import write_atomically

_INK = "#333333"
_GRID = "#e3e3e3"
_ACCURACY = "#0072b2"
_LOSS = "#d55e00"
_DEVICES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999999", "#333333")
"""The palette of Okabe and Ito, which people with colour blindness can tell apart."""

_SENT: dict[str, Any] = {"lw": 1.5}
_RECEIVED: dict[str, Any] = {"lw": 5.0, "alpha": 0.3, "solid_capstyle": "butt", "zorder": 1.9}
"""Often as much is received as sent: both must be seen where they coincide."""


def plot_training(rounds: Sequence[Entry], path: Path, title: str) -> None:
    """Writes a PNG: accuracy and loss by round, accuracy by time, bytes by time and device.

    `rounds` are the records of at least one round. Raises StorageError.
    """
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    figure.suptitle(title, color=_INK, fontsize=12, x=0.01, ha="left", weight="bold")
    by_round, by_time, by_device = figure.subplots(1, 3)
    times_s = list(accumulate(one["duration_s"] for one in rounds))
    _draw_quality(by_round, rounds)
    _draw_accuracy(by_time, rounds, times_s)
    _draw_bytes(by_device, rounds, times_s)
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=130)
    write_atomically(path, image.getvalue())


def _draw_quality(axes: Any, rounds: Sequence[Entry]) -> None:
    numbers = [one["round"] for one in rounds]
    _tidy(axes, "Loss by round", "round")
    style = {"marker": _marker(rounds), "markersize": 3}
    axes.plot(numbers, _series(rounds, "train_loss"), color=_INK, ls="--", lw=1.2, label="training")
    axes.plot(numbers, _series(rounds, "loss"), color=_LOSS, lw=1.8, label="evaluation", **style)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, labelcolor=_INK)


def _draw_accuracy(axes: Any, rounds: Sequence[Entry], times_s: Sequence[float]) -> None:
    accuracies = [100 * one for one in _series(rounds, "accuracy")]
    unit, scale = _time_unit(times_s[-1])
    times = [one / scale for one in times_s]
    _tidy(axes, "Accuracy on the evaluation data, %", f"training time, {unit}")
    axes.plot(times, accuracies, color=_ACCURACY, lw=1.8, marker=_marker(rounds), markersize=3)
    axes.set_xlim(left=0)
    axes.margins(y=0.12)
    axes.annotate(
        f"{accuracies[-1]:.2f}",
        (times[-1], accuracies[-1]),
        xytext=(0, 7),
        textcoords="offset points",
        ha="right",
        color=_ACCURACY,
        weight="bold",
    )


def _draw_bytes(axes: Any, rounds: Sequence[Entry], times_s: Sequence[float]) -> None:
    unit, scale = _time_unit(times_s[-1])
    times = [0.0, *(one / scale for one in times_s)]
    _tidy(axes, "Traffic, MB", f"training time, {unit}")
    for color, (label, members) in zip(_DEVICES, _groups(rounds).items(), strict=False):
        up, down = (
            _megabytes(rounds, members, "up_bytes"),
            _megabytes(rounds, members, "down_bytes"),
        )
        axes.plot(times, up, color=color, **_SENT, label=label)
        axes.plot(times, down, color=color, **_RECEIVED)
    axes.plot([], [], color=_INK, **_SENT, label="sent by the board")
    axes.plot([], [], color=_INK, **_RECEIVED, label="received")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, labelcolor=_INK, fontsize=8)


def _groups(rounds: Sequence[Entry]) -> dict[str, list[str]]:
    """Returns a line's name and its devices: one line each, or one for a crowd."""
    devices = device_ids(rounds)
    if len(devices) > len(_DEVICES):
        return {f"all {len(devices)} boards": devices}
    return {device: [device] for device in devices}


def _megabytes(rounds: Sequence[Entry], devices: Sequence[str], key: str) -> list[float]:
    counts = [bytes_by_round(rounds, device, key) for device in devices]
    return [0.0, *(sum(column) / 1e6 for column in zip(*counts, strict=True))]


def _tidy(axes: Any, title: str, abscissa: str) -> None:
    axes.set_title(title, color=_INK, fontsize=10, loc="left")
    axes.set_xlabel(abscissa, color=_INK)
    axes.grid(color=_GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_INK)


def _series(rounds: Sequence[Entry], key: str) -> list[float]:
    """Returns the values of all rounds; what was no number leaves a gap in the line."""
    return [float("nan") if one[key] is None else one[key] for one in rounds]


def _marker(rounds: Sequence[Entry]) -> str:
    return "o" if len(rounds) <= 60 else ""


def _time_unit(longest_s: float) -> tuple[str, float]:
    if longest_s < 300:
        return "s", 1.0
    return ("min", 60.0) if longest_s < 3 * 3600 else ("h", 3600.0)
