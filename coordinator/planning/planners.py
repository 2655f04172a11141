"""All planners, by the names that a job file knows them by."""

from __future__ import annotations

from collections.abc import Mapping

from coordinator.planning.alternating import Alternating
from coordinator.planning.common_cut import CommonCut
from coordinator.planning.equal_bandwidth import EqualBandwidth
from coordinator.planning.full_local import FullLocal
from coordinator.planning.genetic import Genetic
from coordinator.planning.optimal import Optimal
from coordinator.planning.sequential import Sequential
from coordinator.planning.solution import Solver
from coordinator.planning.unpaced import Unpaced

_ALL: tuple[Solver, ...] = (
    Optimal(),
    Alternating(),
    EqualBandwidth(),
    CommonCut(),
    Unpaced(),
    FullLocal(),
    Sequential(),
    Genetic(),
)

SOLVERS: Mapping[str, Solver] = {solver.name: solver for solver in _ALL}
