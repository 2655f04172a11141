"""`unpaced`: the cuts of `optimal`, and nobody controls the rates."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from attrs import frozen

from coordinator.planning.admission import Admitted, admit, memory_shortage
from coordinator.planning.branch_and_bound import best_plan
from coordinator.planning.draft import draft_at
from coordinator.planning.problem import Problem
from coordinator.planning.solution import Infeasible, Solution
from coordinator.planning.tables import DOWN, UP, Floats
from coordinator.planning.telling import tell


@frozen
class Unpaced:
    """Rates are the fair shares that TCP gives devices that all send at once.

    Devices seldom all send at once, so that a real round is shorter than `round_s`; how much is
    a question for the simulator.
    """

    name: ClassVar[str] = "unpaced"

    def solve(self, problem: Problem) -> Solution | Infeasible:
        admitted = admit(problem, self.name)
        if not isinstance(admitted, Admitted):
            return admitted
        tables = admitted.tables
        best = best_plan(tables)
        if best is None:
            return memory_shortage(admitted, self.name)
        up = fair_rates(tables.up_cap[:, 0], float(tables.limits[UP]))
        down = fair_rates(tables.down_cap[:, 0], float(tables.limits[DOWN]))
        draft = draft_at(tables, best.draft.ids, up, down)
        return tell(admitted, self.name, draft, bound_s=best.bound_s)


def fair_rates(caps: Floats, limit: float) -> Floats:
    """Returns the max-min fair rates of senders with these caps on a link of that rate."""
    if caps.sum() <= limit:
        return caps
    rising = np.sort(caps)
    # The fair level, if the senders below each cap are held by their own caps.
    before = np.concatenate([[0.0], rising.cumsum()[:-1]])
    levels = (limit - before) / np.arange(len(caps), 0, -1)
    fair: Floats = np.minimum(caps, levels[np.argmax(levels <= rising)])
    return fair
