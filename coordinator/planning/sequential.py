"""`sequential`: plain split learning, one device after the other with the link to itself."""

from __future__ import annotations

import math
from typing import ClassVar

from attrs import evolve, frozen

from coordinator.planning.admission import Admitted, admit
from coordinator.planning.draft import Draft
from coordinator.planning.problem import Option, Problem
from coordinator.planning.solution import Infeasible, Solution
from coordinator.planning.tables import MEMORY
from coordinator.planning.telling import tell


@frozen
class Sequential:
    """Every device takes the option that is fastest alone; the server holds one replica."""

    name: ClassVar[str] = "sequential"

    def solve(self, problem: Problem) -> Solution | Infeasible:
        limit = problem.server_memory_bytes
        limit_bytes = math.inf if limit is None else limit

        def fits(option: Option) -> bool:
            return option.replica_memory_bytes <= limit_bytes

        admitted = admit(problem, self.name, fits, "no replica of it fits the server's memory")
        if not isinstance(admitted, Admitted):
            return admitted
        # Replicas are held one at a time, so the bounds must not add them up.
        tables = admitted.tables.unlimited(MEMORY)
        fastest = tables.path_s.argmin(axis=1)
        total_s = float(tables.path_s.min(axis=1).sum())
        alone = Draft(fastest, tables.up_cap[:, 0], tables.down_cap[:, 0], total_s)
        freed = evolve(admitted, tables=tables)
        return tell(freed, self.name, alone, sharing="turns")
