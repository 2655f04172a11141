"""`optimal`: every device's cut, codec and rates together, with proof."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from coordinator.planning.admission import Admitted, admit, memory_shortage
from coordinator.planning.alternating import alternate
from coordinator.planning.branch_and_bound import THOROUGH, Best, Effort, best_plan
from coordinator.planning.draft import Draft
from coordinator.planning.problem import Problem
from coordinator.planning.solution import Infeasible, Solution
from coordinator.planning.tables import Tables
from coordinator.planning.telling import tell

_POLISHED = 20_000
"""Options up to which alternation costs little beside the search."""


@frozen
class Optimal:
    """The fastest plan with static shares; `Solution.gap` certifies how near it is."""

    effort: Effort = THOROUGH
    name: ClassVar[str] = "optimal"

    def solve(self, problem: Problem) -> Solution | Infeasible:
        admitted = admit(problem, self.name)
        if not isinstance(admitted, Admitted):
            return admitted
        best = best_plan(admitted.tables, self.effort)
        if best is None:
            return memory_shortage(admitted, self.name)
        draft = _polished(admitted.tables, best, self.effort)
        return tell(admitted, self.name, draft, bound_s=best.bound_s)


def _polished(tables: Tables, best: Best, effort: Effort) -> Draft:
    """Returns what alternation finds instead, where the search ended early and it is better."""
    rows, columns = tables.shape
    proven = best.draft.round_s <= best.bound_s * (1 + effort.tolerance)
    if proven or columns == 1 or rows * columns > _POLISHED:
        return best.draft
    other = alternate(tables)
    return other if other and other.round_s < best.draft.round_s else best.draft
