"""Pictures of one round: as a planner foretells it, and as it happened."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path

import attrs

from coordinator.planning.solution import DevicePlan, Solution
from coordinator.record.gantt import MOST_ROWS, Gantt, Lane, Row
from coordinator.record.run_record import Entry, RunRecord


def plot_planned(solution: Solution, local_steps: int, path: Path, title: str) -> None:
    """Writes a PNG: each device's round with its local steps summed up, and one step to scale.

    Of many devices the slowest are drawn. Raises StorageError.
    """
    starts_s = _starts_s(solution)
    totals_s = {str(plan.device): plan.terms.total_s for plan in solution.devices}
    shown = _slowest(totals_s)
    rows = [
        _planned_row(plan, starts_s[plan.device], plan.device == solution.bottleneck)
        for plan in solution.devices
        if plan.device in shown
    ]
    mark = (solution.round_s, f"round ends: {solution.round_s:.2f} s", "-")
    Gantt(title, _subtitle(local_steps, totals_s), rows, [mark], local_steps).write(path)


def plot_last(record: RunRecord, path: Path) -> None:
    """Writes a PNG of the last closed round of a run that has one. Raises StorageError."""
    entry = record.rounds()[-1]
    plans = [plan for plan in record.plans() if plan["round"] == entry["round"]]
    plot_happened(entry, plans[-1] if plans else {"assignments": []}, path, record.run)


def plot_happened(entry: Entry, plan: Entry, path: Path, title: str) -> None:
    """Writes a PNG of a closed round, with what was planned below what was measured.

    `entry` and `plan` are the records of one round. Raises StorageError.
    """
    parts: Mapping[str, Entry] = entry["devices"]
    assigned = {one["device"]: one for one in plan["assignments"]}
    lasted_s = {name: part["duration_s"] for name, part in parts.items()}
    shown, slowest = _slowest(lasted_s), max(lasted_s, key=lasted_s.__getitem__)
    rows = [
        _happened_row(name, parts[name], assigned.get(name, {}), name == slowest)
        for name in sorted(shown)
    ]
    steps = _local_steps(parts[slowest], assigned.get(slowest, {}))
    words = f"Round {entry['round']}, measured" + (
        "; below each bar, paler: planned" if any(row.planned for row in rows) else ""
    )
    if entry.get("simulated"):
        words = words.replace("measured", "simulated")
    subtitle = f"{words}. {_subtitle(steps, lasted_s)}"
    Gantt(title, subtitle, rows, _marks(entry, lasted_s[slowest]), steps).write(path)


def _planned_row(plan: DevicePlan, start_s: float, bold: bool) -> Row:
    lane = Lane(attrs.asdict(plan.terms), start_s)
    return Row(f"{plan.device}\n{plan.option.cut}", lane, bold=bold)


def _happened_row(name: str, part: Entry, assigned: Entry, bold: bool) -> Row:
    terms: Mapping[str, float] = part.get("terms", {})
    planned = assigned.get("predicted")
    # Plans know of no opening: their lane begins where the measured one has it behind it.
    lane = Lane(planned, terms.get("opening_s", 0.0)) if planned else None
    return Row(f"{name}\n{part['cut']}", Lane(terms), lane, bold)


def _marks(entry: Entry, last_s: float) -> list[tuple[float, str, str]]:
    marks = [(last_s, f"all are back: {last_s:.2f} s", "-")]
    if "predicted_s" in entry:
        marks.append((entry["predicted_s"], f"foretold: {entry['predicted_s']:.2f} s", ":"))
    marks.append((entry["duration_s"], f"closed: {entry['duration_s']:.2f} s", "--"))
    return sorted(marks)


def _local_steps(part: Entry, assigned: Entry) -> int:
    samples: int = part["samples"]
    batch: int = assigned.get("batch", samples)
    return max(1, samples // max(1, batch))


def _slowest(totals_s: Mapping[str, float]) -> set[str]:
    """Returns the devices to draw."""
    return set(sorted(totals_s, key=totals_s.__getitem__, reverse=True)[:MOST_ROWS])


def _subtitle(local_steps: int, totals_s: Mapping[str, float]) -> str:
    steps = f"{local_steps} local steps summed up by phase"
    left_away = len(totals_s) - MOST_ROWS
    return f"{steps}; {left_away} faster boards not shown" if left_away > 0 else steps


def _starts_s(solution: Solution) -> dict[str, float]:
    """Returns when each device's round begins: at once, or after the ones before it."""
    times_s = [plan.terms.total_s for plan in solution.devices]
    begins = list(accumulate(times_s[:-1], initial=0.0))
    if solution.sharing != "turns":
        begins = [0.0] * len(times_s)
    return {plan.device: begin for plan, begin in zip(solution.devices, begins, strict=True)}
