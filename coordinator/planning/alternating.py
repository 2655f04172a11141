"""`alternating`: the paper's algorithm (arXiv 2403.15815), cuts and bandwidth in turn."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from coordinator.planning.admission import Admitted, admit, memory_shortage
from coordinator.planning.branch_and_bound import best_shares
from coordinator.planning.draft import Draft
from coordinator.planning.equal_bandwidth import best_at_rates, equal_rates
from coordinator.planning.problem import Problem
from coordinator.planning.solution import Infeasible, Solution
from coordinator.planning.tables import Tables
from coordinator.planning.telling import tell

_LEAST_GAIN = 1e-9


@frozen
class Alternating:
    """From equal shares: the best cuts for the shares, then the best shares for the cuts.

    It ends where neither step gains. With one shared direction and no coupling at the server
    that is the optimum; otherwise it may be a plan that only changing both would better.
    """

    name: ClassVar[str] = "alternating"

    def solve(self, problem: Problem) -> Solution | Infeasible:
        admitted = admit(problem, self.name)
        if not isinstance(admitted, Admitted):
            return admitted
        draft = alternate(admitted.tables)
        if draft is None:
            return memory_shortage(admitted, self.name)
        return tell(admitted, self.name, draft)


def alternate(tables: Tables) -> Draft | None:
    """Returns the plan that alternation ends with; None if no replicas fit."""
    draft = best_at_rates(tables, *equal_rates(tables))
    while draft is not None:
        before_s = draft.round_s
        shared = best_shares(tables, draft)
        draft = best_at_rates(tables, shared.up_bytes_per_s, shared.down_bytes_per_s)
        if draft is None or not draft.round_s < before_s * (1 - _LEAST_GAIN):
            return shared
    return None
