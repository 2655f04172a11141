"""Whom a resumed run waits for: its record tells who had gone before it broke off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from coordinator.plan import Plan
from runtime.ids import DeviceId


def still_due(plans: Iterable[Plan], closed: Mapping[str, Any]) -> frozenset[DeviceId] | None:
    """Returns those that the last plan on record counted on, None where there is no plan.

    `closed` is the entry of the last closed round, empty before the first: where that is the last
    plan's, whoever it went on without is not among them.
    """
    last = max(plans, key=lambda plan: plan.round, default=None)
    if last is None:
        return None
    is_over = closed.get("round") == last.round
    dropped = {one["device"] for one in closed.get("dropped", ())} if is_over else set()
    return last.counted_on - dropped
