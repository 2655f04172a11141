"""Plans as arrays: what a search finds before it is told to people."""

from __future__ import annotations

import numpy as np
from attrs import frozen

from coordinator.planning.demand import Answer
from coordinator.planning.tables import DOWN, MEMORY, SERVER, UP, VOID_S, Floats, Ints, Tables

_ROUNDING = 1e-12


@frozen(eq=False)
class Draft:
    """A plan that keeps to all limits: options [devices] (`ids`), rates, and its round time."""

    ids: Ints
    up_bytes_per_s: Floats
    down_bytes_per_s: Floats
    round_s: float


def draft_of(tables: Tables, answer: Answer) -> Draft | None:
    """Returns answers as a plan, rates scaled into the budgets; None if memory is short."""
    if answer.use[MEMORY] > 1 + _ROUNDING:
        return None
    draft = draft_at(tables, answer.choice, answer.amounts[:, UP], answer.amounts[:, DOWN])
    return draft if draft.round_s < VOID_S else None


def draft_at(tables: Tables, choice: Ints, up: Floats, down: Floats) -> Draft:
    """Returns the plan of these columns and rates [devices], the rates held to all limits."""
    up = _within(up, tables.up_cap[:, 0], float(tables.limits[UP]))
    down = _within(down, tables.down_cap[:, 0], float(tables.limits[DOWN]))
    rows = np.arange(len(choice))
    device_s = (
        tables.compute_s[rows, choice]
        + _transfer_s(tables.up_bytes[rows, choice], up)
        + _transfer_s(tables.down_bytes[rows, choice], down)
    )
    queue_s = tables.work_s[rows, choice].sum() / tables.limits[SERVER]
    return Draft(tables.ids[rows, choice], up, down, float(max(device_s.max(), queue_s)))


def first_draft(tables: Tables) -> Draft | None:
    """Returns some plan: the shortest paths or, if they do not fit, the smallest replicas."""
    rows = np.arange(len(tables.ids))
    for key in (tables.path_s, np.where(tables.legal, tables.memory_bytes, np.inf)):
        choice = key.argmin(axis=1)
        if tables.memory_bytes[rows, choice].sum() <= tables.limits[MEMORY] * (1 + _ROUNDING):
            return draft_at(tables, choice, tables.up_cap[:, 0], tables.down_cap[:, 0])
    return None


def _within(rates: Floats, caps: Floats, limit: float) -> Floats:
    rates = np.minimum(rates, caps)
    return rates / max(1.0, float(rates.sum()) / limit)


def _transfer_s(size_bytes: Floats, rates: Floats) -> Floats:
    idle = np.where(size_bytes > 0, np.inf, 0.0)
    return np.divide(size_bytes, rates, out=idle, where=rates > 0)
