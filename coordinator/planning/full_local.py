"""`full-local`: FedAvg. Every device trains the whole model; only weights travel."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from coordinator.planning.admission import Admitted, admit, memory_shortage
from coordinator.planning.branch_and_bound import best_plan
from coordinator.planning.problem import Option, Problem
from coordinator.planning.solution import Infeasible, Solution
from coordinator.planning.telling import tell


@frozen
class FullLocal:
    """Devices that cannot hold the whole model are left out; the bandwidth is shared best."""

    name: ClassVar[str] = "full-local"

    def solve(self, problem: Problem) -> Solution | Infeasible:
        admitted = admit(problem, self.name, _is_whole, "it cannot hold the whole model")
        if not isinstance(admitted, Admitted):
            return admitted
        best = best_plan(admitted.tables)
        if best is None:
            return memory_shortage(admitted, self.name)
        return tell(admitted, self.name, best.draft, bound_s=best.bound_s)


def _is_whole(option: Option) -> bool:
    return option.is_whole_model
