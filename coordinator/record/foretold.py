"""Rounds beside what was foretold of them, and whether emulated times can be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from coordinator.record.run_record import Entry

MOST_OVERRUNS = 0.02
"""A device that was slower than its emulation in a larger part of its steps measures nothing."""


def foretold(rounds: Sequence[Entry]) -> dict[str, Any]:
    """Returns every round with a prediction, and the median of the relative errors.

    An error is positive where a round took longer than foretold; None is no prediction at all.
    """
    found = [
        {"round": one["round"], "predicted_s": one["predicted_s"], "measured_s": one["duration_s"]}
        for one in rounds
        if one.get("predicted_s")
    ]
    errors = [one["measured_s"] / one["predicted_s"] - 1 for one in found]
    return {
        "rounds": found,
        "median_error": median(errors) if errors else None,
        "median_absolute_error": median(map(abs, errors)) if errors else None,
    }


def prediction_in_words(told: Mapping[str, Any]) -> str:
    """Returns how good the predictions were, in a sentence; empty where there were none."""
    if told["median_error"] is None:
        return ""
    count, error = len(told["rounds"]), told["median_error"]
    rounds = "1 round was" if count == 1 else f"{count} rounds were"
    way = "longer" if error >= 0 else "shorter"
    return (
        f"{rounds} foretold; they took {abs(error):.1%} {way} (median; "
        f"{told['median_absolute_error']:.1%} off)."
    )


def overran(devices: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Returns the devices whose emulation overran too often, each with the part of its steps."""
    parts = {name: one["overruns"] / one["steps"] for name, one in devices.items() if one["steps"]}
    return {name: part for name, part in parts.items() if part > MOST_OVERRUNS}


def validity_in_words(devices: Mapping[str, Mapping[str, Any]]) -> str:
    """Says that times are no measurement, and whose fault that is; empty where they are one."""
    parts = overran(devices)
    if not parts:
        return ""
    named = ", ".join(f"{name} in {part:.0%}" for name, part in parts.items())
    return (
        f"Not a valid measurement: the machine was too slow for its emulated boards in more than "
        f"{MOST_OVERRUNS:.0%} of their steps ({named})."
    )
