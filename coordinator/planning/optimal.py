"""`optimal`: every device's cut, codec and rates together, with proof."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from coordinator.planning.admission import Admitted, admit, memory_shortage
from coordinator.planning.branch_and_bound import THOROUGH, Effort, best_plan
from coordinator.planning.problem import Problem
from coordinator.planning.solution import Infeasible, Solution
from coordinator.planning.telling import tell


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
        return tell(admitted, self.name, best.draft, bound_s=best.bound_s)
