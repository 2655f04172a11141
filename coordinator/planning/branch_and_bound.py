"""The fastest plan, with proof: prices bound it from below, branch and bound closes the gap.

With one shared direction this is the bisection on the round time, where device i needs
need_i(t) = min over options of bytes / (t - compute); see `demand.StaticShares`. With two
budgets, a server queue or replica memory, prices alone may leave a gap; then the options of one
device are parted in two and both parts are searched, the more promising first.
"""

from __future__ import annotations

import heapq
from itertools import count

import numpy as np
from attrs import define, evolve, field, frozen

from coordinator.planning.demand import StaticShares
from coordinator.planning.draft import Draft, draft_of, first_draft
from coordinator.planning.parting import part
from coordinator.planning.repair import repair
from coordinator.planning.search import Found, search
from coordinator.planning.tables import MEMORY, SERVER, Floats, Mask, Tables

_CALL_CELLS = 6_000
"""What an evaluation costs besides its cells, in cells."""
_EVALUATIONS = (8, 40, 120, 400)
_FEW_OPTIONS = 20_000


@frozen
class Effort:
    """When to stop: at `tolerance`, a relative gap; after evaluating about `patient_cells` options
    at `fair_gap`, which then grows in proportion to the options evaluated, up to `poor_gap`;
    after `cells` at any, of fleets with few options after six times as many.

    Ten million cells take about 0.1 s.
    """

    tolerance: float = 1e-6
    fair_gap: float = 1e-3
    poor_gap: float = 1e-2
    patient_cells: int = 12_000_000
    cells: int = 70_000_000


THOROUGH = Effort()


@frozen(eq=False)
class Best:
    """The best plan found, and what no plan can beat."""

    draft: Draft
    bound_s: float


def best_plan(tables: Tables, effort: Effort = THOROUGH) -> Best | None:
    """Returns the fastest plan; None if no plan fits the server's memory."""
    tables = tables.undominated()
    first = first_draft(tables)
    if first is None:
        return None
    return _Tree(tables, effort, best_shares(tables, first)).grow()


def best_shares(tables: Tables, draft: Draft, tolerance: float = 1e-7) -> Draft:
    """Returns a draft's options with the best static shares, to a fraction of the round time."""
    chosen = tables.choose((tables.ids == draft.ids[:, None]).argmax(axis=1))
    queue_s = float(chosen.work_s.sum() / tables.limits[SERVER])
    # What is chosen fits the memory and keeps the server busy for as long at any rates.
    demand = StaticShares(chosen.unlimited(SERVER, MEMORY))
    found = search(demand, queue_s, draft.round_s, tolerance=tolerance, evaluations=400)
    if found.draft is None:
        return draft
    return evolve(found.draft, round_s=max(found.draft.round_s, queue_s))


@define(eq=False)
class _Tree:
    root: Tables
    effort: Effort
    incumbent: Draft
    spent_cells: int = 0
    closed_s: float = np.inf
    _open: list[tuple[float, int, Tables]] = field(factory=list)
    _order: count[int] = field(factory=count)

    def grow(self) -> Best:
        self._push(0.0, self.root)
        while self._open and not self._enough(self._open[0][0]):
            bound_s, _, tables = heapq.heappop(self._open)
            self._visit(bound_s, tables)
        left = [bound_s for bound_s, _, _ in self._open]
        return Best(self.incumbent, min([self.incumbent.round_s, self.closed_s, *left]))

    @property
    def _target_s(self) -> float:
        """Plans that are not faster than this are not worth finding."""
        return self.incumbent.round_s * (1 - self.effort.tolerance)

    @property
    def _fair_enough(self) -> float:
        """The gap at which to stop by now."""
        spent = self.spent_cells / self.effort.patient_cells
        if spent <= 1:
            return self.effort.tolerance
        # A little less, since a gap is a part of the bound and this one of the round time.
        return min(self.effort.fair_gap * spent, 0.99 * self.effort.poor_gap)

    def _enough(self, bound_s: float) -> bool:
        fair_s = self.incumbent.round_s * (1 - self._fair_enough)
        cells = self.effort.cells * (1 if self.root.ids.size > _FEW_OPTIONS else 6)
        return bound_s >= fair_s or self.spent_cells > cells

    def _push(self, bound_s: float, tables: Tables) -> None:
        heapq.heappush(self._open, (bound_s, next(self._order), tables))

    def _visit(self, bound_s: float, tables: Tables) -> None:
        """Bounds a node, strikes the options that cannot win, and parts what is left."""
        for evaluations in _EVALUATIONS:
            found = self._search(tables, bound_s, evaluations)
            bound_s = found.bound_s
            mask = self._worth(tables, found.prices)
            if bound_s >= self._target_s or not mask.any(axis=1).all():
                self._close(bound_s if tables is self.root else self._target_s)
                return
            if evaluations != _EVALUATIONS[-1]:
                tables = tables.keep(mask)
        self._adopt(repair(tables, found.prices, (bound_s + self.incumbent.round_s) / 2))
        halves = part(tables, mask, found)
        for half in halves:
            self._push(bound_s, tables.keep(half))
        if not halves:
            self._adopt(draft_of(tables, found.recent[-1]))
            self._close(self._target_s)

    def _close(self, proved_s: float) -> None:
        """Notes that the rest of a node holds no plan faster than `proved_s`.

        Strikes are blind to plans at or above the target; behind them no more is proved.
        """
        self.closed_s = min(self.closed_s, max(proved_s, self._target_s))

    def _search(self, tables: Tables, bound_s: float, evaluations: int) -> Found:
        best_s, demand = self.incumbent.round_s, StaticShares(tables)
        found = search(
            demand, bound_s, best_s, tolerance=self._fair_enough, evaluations=evaluations
        )
        rows, columns = tables.shape
        self.spent_cells += found.evaluations * (rows * columns + _CALL_CELLS)
        self._adopt(found.draft)
        return found

    def _adopt(self, draft: Draft | None) -> None:
        if draft is None:
            return
        draft = best_shares(self.root, draft, self.effort.tolerance / 10)
        if draft.round_s < self.incumbent.round_s:
            self.incumbent = draft

    def _worth(self, tables: Tables, prices: Floats) -> Mask:
        """Marks the options that a plan faster than the best one could still take."""
        costs = StaticShares(tables).answer(prices, self._target_s).costs
        least = costs.min(axis=1, keepdims=True)
        with np.errstate(invalid="ignore"):
            worth: Mask = costs - least <= 1 - least.sum() + 1e-9
        return worth
