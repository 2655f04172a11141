"""What devices ask for when the shared resources have prices and a round has a deadline.

Every demand maps prices and a deadline to each device's cheapest answer. Use is counted in parts
of the resource's limit and prices sum to one, so that answers costing more than one in all prove
that no plan meets the deadline: a plan's use is at most one of everything, at any prices.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from attrs import field, frozen

from coordinator.planning.tables import DOWN, MEMORY, SERVER, UP, Floats, Ints, Tables

_LEAST_S = 1e-30
"""Stands for no time at all where nothing is sent, so that nothing is divided by zero."""
_ROUNDING = 1e-12


@frozen(eq=False)
class Answer:
    """The cheapest answers of all devices at some prices.

    `costs` [devices, options] is what each option would cost; `choice` [devices] the cheapest
    one; `amounts` [devices, 4] what it takes: rates up and down in bytes/s, busy workers, bytes
    of server memory. `use` [4] is what all devices take together, in parts of the limits.
    """

    costs: Floats
    choice: Ints
    amounts: Floats
    use: Floats

    @property
    def cost(self) -> float:
        """What all devices pay together; infinite if one of them has no option."""
        rows = np.arange(len(self.choice))
        return float(self.costs[rows, self.choice].sum())


class Demand(Protocol):
    """Devices that answer prices."""

    @property
    def tables(self) -> Tables: ...

    def answer(self, prices: Floats, deadline_s: float) -> Answer: ...


@frozen(eq=False)
class StaticShares:
    """Every device is given fixed rates for the whole round: the paper's model.

    An option with slack s = deadline - compute takes the rates up/x and down/(s - x) for the
    bytes `up` and `down`. At prices a and b of a byte/s they cost least where
    x : s - x = sqrt(a up) : sqrt(b down), held within the device's own link.
    """

    tables: Tables
    _up_floor_s: Floats = field(init=False, repr=False)
    _down_floor_s: Floats = field(init=False, repr=False)
    _up_root: Floats = field(init=False, repr=False)
    _down_root: Floats = field(init=False, repr=False)

    @_up_floor_s.default
    def _(self) -> Floats:
        return self.tables.up_bytes / self.tables.up_cap

    @_down_floor_s.default
    def __(self) -> Floats:
        return self.tables.down_bytes / self.tables.down_cap

    @_up_root.default
    def ___(self) -> Floats:
        return np.sqrt(self.tables.up_bytes)

    @_down_root.default
    def ____(self) -> Floats:
        return np.sqrt(self.tables.down_bytes)

    def answer(self, prices: Floats, deadline_s: float) -> Answer:
        """Returns every device's cheapest option and rates by the deadline."""
        tables = self.tables
        price = prices / tables.limits
        up_s, down_s = self.transfer_s(price, deadline_s)
        costs = (
            (price[UP] * tables.up_bytes) / up_s
            + (price[DOWN] * tables.down_bytes) / down_s
            + price[SERVER] / deadline_s * tables.work_s
            + price[MEMORY] * tables.memory_bytes
        )
        spare_s = deadline_s * (1 + _ROUNDING) - tables.compute_s
        costs[self._up_floor_s + self._down_floor_s > spare_s] = np.inf
        choice = costs.argmin(axis=1)
        at = (np.arange(len(choice)), choice)
        rates = tables.up_bytes[at] / up_s[at], tables.down_bytes[at] / down_s[at]
        return _answer(tables, costs, choice, rates, deadline_s)

    def shares(self, prices: Floats, deadline_s: float) -> Floats:
        """Returns what every option would take, in parts of the limits [devices, options, 4].

        Infinite for options that cannot meet the deadline.
        """
        tables = self.tables
        up_s, down_s = self.transfer_s(prices / tables.limits, deadline_s)
        columns = (
            tables.up_bytes / up_s,
            tables.down_bytes / down_s,
            tables.work_s / deadline_s,
            tables.memory_bytes,
        )
        shares = np.stack(columns, axis=2) / tables.limits
        shares[tables.path_s > deadline_s * (1 + _ROUNDING)] = np.inf
        return shares

    def transfer_s(self, price: Floats, deadline_s: float) -> tuple[Floats, Floats]:
        """Returns the best division of each option's slack into time up and time down."""
        tables = self.tables
        slack_s = deadline_s - tables.compute_s
        weight_up = np.sqrt(price[UP]) * self._up_root
        weight_down = np.sqrt(price[DOWN]) * self._down_root
        up_s = slack_s * (weight_up / np.maximum(weight_up + weight_down, _LEAST_S))
        up_s = np.maximum(np.minimum(up_s, slack_s - self._down_floor_s), self._up_floor_s)
        down_s = np.maximum(slack_s - up_s, self._down_floor_s)
        return np.maximum(up_s, _LEAST_S), np.maximum(down_s, _LEAST_S)


@frozen(eq=False)
class FreeSchedule:
    """Devices send whenever it suits: only their own path and the totals of a round count."""

    tables: Tables

    def answer(self, prices: Floats, deadline_s: float) -> Answer:
        """Returns every device's cheapest option whose path meets the deadline."""
        tables = self.tables
        price = prices / tables.limits
        costs = (
            price[UP] * tables.up_bytes
            + price[DOWN] * tables.down_bytes
            + price[SERVER] * tables.work_s
        ) / deadline_s + price[MEMORY] * tables.memory_bytes
        costs[tables.path_s > deadline_s * (1 + _ROUNDING)] = np.inf
        choice = costs.argmin(axis=1)
        at = (np.arange(len(choice)), choice)
        rates = tables.up_bytes[at] / deadline_s, tables.down_bytes[at] / deadline_s
        return _answer(tables, costs, choice, rates, deadline_s)


def _answer(
    tables: Tables, costs: Floats, choice: Ints, rates: tuple[Floats, Floats], deadline_s: float
) -> Answer:
    at = (np.arange(len(choice)), choice)
    columns = (*rates, tables.work_s[at] / deadline_s, tables.memory_bytes[at])
    amounts = np.stack(columns, axis=1)
    return Answer(costs, choice, amounts, amounts.sum(axis=0) / tables.limits)
