"""Makes a plan of answers that ask for too much: switches options until everything fits."""

from __future__ import annotations

import numpy as np

from coordinator.planning.demand import StaticShares
from coordinator.planning.draft import Draft, draft_of
from coordinator.planning.tables import Floats, Tables

_MOST_SWITCHES = 100


def repair(tables: Tables, prices: Floats, deadline_s: float) -> Draft | None:
    """Returns a plan that meets the deadline, or None where greedy switching finds none.

    Each step switches the one device to the one option that lowers the use of the scarcest
    resource most.
    """
    demand = StaticShares(tables)
    shares = demand.shares(prices, deadline_s)
    choice = demand.answer(prices, deadline_s).choice
    rows = np.arange(len(choice))
    for _ in range(_MOST_SWITCHES):
        held = shares[rows, choice]
        use = held.sum(axis=0)
        if use.max() <= 1:
            chosen = tables.choose(choice)
            return draft_of(chosen, StaticShares(chosen).answer(prices, deadline_s))
        switched = (use - held[:, None] + shares).max(axis=2)
        row, column = np.unravel_index(switched.argmin(), switched.shape)
        if not switched[row, column] < use.max() - 1e-12:
            return None
        choice[row] = column
    return None
