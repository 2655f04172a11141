"""The best bound that prices give, and the plans met on the way to it."""

from __future__ import annotations

import numpy as np
from attrs import evolve, frozen

from coordinator.planning.demand import Answer, Demand, FreeSchedule, StaticShares
from coordinator.planning.draft import Draft, draft_of
from coordinator.planning.prices import PriceRegion
from coordinator.planning.tables import DOWN, MEMORY, SERVER, UP, Floats, Tables

LEAST_S = 1e-9
"""No round is planned to be shorter, so that a deadline can be divided by."""
_TIE = 1e-9
_RECENT = 8


@frozen(eq=False)
class Found:
    """No plan is faster than `bound_s`; `draft` is the best plan met, if any beat the known one.

    `recent` are the last answers, which surround the best prices.
    """

    bound_s: float
    prices: Floats
    recent: tuple[Answer, ...]
    draft: Draft | None
    evaluations: int


def search(
    demand: Demand, low_s: float, high_s: float, *, tolerance: float, evaluations: int
) -> Found:
    """Raises the bound `low_s` as far as prices prove, or to `high_s`, the best plan known.

    Where `low_s` is 0 nothing is known, and each resource is first priced alone.

    Ends early when bound and best plan are within `tolerance`, or after about that many
    evaluations. The bound is certified at whatever point it ends. When prices can prove no more,
    those at which the devices ask for most are sought: there they ask for what fits.
    """
    nothing_known = low_s == 0
    low_s = max(low_s, float(demand.tables.path_s.min(axis=1).max()), LEAST_S)
    resources = binding(demand.tables, low_s)
    region, proving = PriceRegion.whole(resources), True
    best, found = high_s, Found(low_s, region.prices, (), None, 0)
    for resource in resources if nothing_known else ():
        found = _visit(demand, np.eye(4)[resource], found, high_s)
    while found.evaluations < evaluations and region.stay_positive():
        found = _visit(demand, region.prices, found, best)
        if found.draft is not None:
            best = min(best, found.draft.round_s)
        answer = found.recent[-1]
        if found.bound_s >= best * (1 - tolerance):
            break
        if not region.cut(answer.use, 1.0 if proving else answer.cost):
            if not proving or isinstance(demand, FreeSchedule):
                break
            region, proving = PriceRegion.whole(resources), False
    return found


def binding(tables: Tables, low_s: float) -> list[int]:
    """Names the resources that some plan of at least `low_s` could use up."""
    work_s = np.where(tables.legal, tables.work_s, 0).max(axis=1).sum()
    memory = np.where(tables.legal, tables.memory_bytes, 0).max(axis=1).sum()
    most = {UP: tables.up_cap.sum(), DOWN: tables.down_cap.sum(), MEMORY: memory}
    most[SERVER] = work_s / low_s if low_s > 0 else np.inf
    return [r for r in (UP, DOWN, SERVER, MEMORY) if most[r] > tables.limits[r]] or [SERVER]


def _visit(demand: Demand, prices: Floats, found: Found, high_s: float) -> Found:
    """Asks at these prices, raises the bound while they prove more, and drafts a plan."""
    answer = demand.answer(prices, found.bound_s)
    bound_s, count = found.bound_s, found.evaluations + 1
    if answer.cost > 1 + _TIE:
        bound_s, answer, asked = _raise(demand, prices, bound_s, answer, high_s)
        count += asked
        found = evolve(found, prices=prices)
    draft = found.draft
    if isinstance(demand, StaticShares):
        new = draft_of(demand.tables, answer)
        if new is not None and new.round_s < min(high_s, draft.round_s if draft else np.inf):
            draft = new
    recent = (*found.recent, answer)[-_RECENT:]
    return Found(bound_s, found.prices, recent, draft, count)


def _raise(
    demand: Demand, prices: Floats, low_s: float, answer: Answer, high_s: float
) -> tuple[float, Answer, int]:
    """Moves the deadline up to where the answers cost one (false position on 1/cost).

    Returns the last deadline at which they cost more, the answers just above it, which cost no
    more than one where an option that opens there makes the cost jump, and the evaluations.
    """
    above = demand.answer(prices, high_s)
    low_f, high_f = 1 / answer.cost - 1, _excess(above)
    if high_f < 0:
        return high_s, above, 1
    for count in range(2, 60):
        middle_s = (low_s * high_f - high_s * low_f) / (high_f - low_f)
        if not low_s < middle_s < high_s:
            break
        middle = demand.answer(prices, middle_s)
        f = _excess(middle)
        if f < 0:
            low_s, low_f, high_f = middle_s, f, high_f / 2
            if f > -_TIE:
                return low_s, middle, count
        else:
            high_s, high_f, low_f, above = middle_s, f, low_f / 2, middle
        if high_s - low_s < 1e-12 * high_s:
            break
    return low_s, above, count


def _excess(answer: Answer) -> float:
    return min(1 / max(answer.cost, 1e-12) - 1, 1.0)
