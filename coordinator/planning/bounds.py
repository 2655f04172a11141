"""What no plan can beat: with static shares, and with any schedule at all."""

from __future__ import annotations

import numpy as np

from coordinator.planning.demand import FreeSchedule, StaticShares
from coordinator.planning.search import search
from coordinator.planning.tables import SERVER, Ints, Tables

_EVALUATIONS = 60


def static_bound_s(tables: Tables, known_s: float) -> float:
    """Returns a bound on plans with static shares; `known_s` is the time of some such plan."""
    demand = StaticShares(tables)
    return search(demand, 0.0, known_s, tolerance=1e-6, evaluations=_EVALUATIONS).bound_s


def free_bound_s(tables: Tables, known_s: float) -> float:
    """Returns a bound on plans however links are shared; `known_s` is the time of some plan."""
    demand = FreeSchedule(tables)
    return search(demand, 0.0, known_s, tolerance=1e-6, evaluations=_EVALUATIONS).bound_s


def free_bound_of_s(tables: Tables, choice: Ints) -> float:
    """Returns the bound for options that are chosen already.

    It is the longest of: each device's round alone on its link, the bytes of each direction over
    its budget, and the server's work over its workers.
    """
    chosen = tables.choose(choice)
    amounts = np.array([chosen.up_bytes.sum(), chosen.down_bytes.sum(), chosen.work_s.sum()])
    return float(max(chosen.path_s.max(), (amounts / tables.limits[: SERVER + 1]).max()))
