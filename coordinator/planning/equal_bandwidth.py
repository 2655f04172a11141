"""`equal-bandwidth`: the budgets divided by the number of devices, the best cuts for that."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from attrs import frozen

from coordinator.planning.admission import Admitted, admit, memory_shortage
from coordinator.planning.branch_and_bound import best_plan
from coordinator.planning.draft import Draft
from coordinator.planning.problem import Problem
from coordinator.planning.solution import Infeasible, Solution
from coordinator.planning.tables import DOWN, UP, Floats, Tables
from coordinator.planning.telling import tell


@frozen
class EqualBandwidth:
    """Nobody gets more than an equal part, even where somebody's own link carries less."""

    name: ClassVar[str] = "equal-bandwidth"

    def solve(self, problem: Problem) -> Solution | Infeasible:
        admitted = admit(problem, self.name)
        if not isinstance(admitted, Admitted):
            return admitted
        draft = best_at_rates(admitted.tables, *equal_rates(admitted.tables))
        if draft is None:
            return memory_shortage(admitted, self.name)
        return tell(admitted, self.name, draft)


def equal_rates(tables: Tables) -> tuple[Floats, Floats]:
    """Returns equal parts of the budgets, up and down [devices], within each device's link."""
    devices, _ = tables.shape
    up = np.minimum(tables.up_cap[:, 0], tables.limits[UP] / devices)
    down = np.minimum(tables.down_cap[:, 0], tables.limits[DOWN] / devices)
    return up, down


def best_at_rates(tables: Tables, up: Floats, down: Floats) -> Draft | None:
    """Returns the best options for given rates [devices]; None if no replicas fit."""
    best = best_plan(tables.within(up, down))
    return best.draft if best else None
