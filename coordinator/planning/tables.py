"""A problem as arrays, one row a device and one column an option."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from operator import attrgetter

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from coordinator.planning.problem import Option, Problem

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Mask = NDArray[np.bool_]

UP, DOWN, SERVER, MEMORY = range(4)
"""The shared resources, in the order of every vector of prices or of use."""

VOID_S = 1e30
"""The time of an option that there is not; finite, so that nothing becomes not-a-number."""
_LEAST_BYTES_PER_S = 1e-9
"""Stands for the rate of a device that sends nothing, so that it can be divided by."""

_columns = attrgetter(
    "forward_s",
    "backward_s",
    "server_s",
    "up_bytes",
    "down_bytes",
    "state_bytes",
    "replica_memory_bytes",
    "device_memory_bytes",
)


@frozen(eq=False)
class Tables:
    """What every option of every device asks for in a round.

    Arrays are [devices, options]; where a device has fewer options, `compute_s` is VOID_S and
    the rest is zero. `ids` are the columns of the table that this one was taken from. Caps
    [devices, 1] are the smaller of the device's link and the budget. `limits` [4] are the budgets
    of UP and DOWN (bytes/s), SERVER (workers) and MEMORY (bytes); infinite where unlimited.
    """

    compute_s: Floats
    up_bytes: Floats
    down_bytes: Floats
    work_s: Floats
    memory_bytes: Floats
    up_cap: Floats
    down_cap: Floats
    limits: Floats
    ids: Ints

    @property
    def shape(self) -> tuple[int, int]:
        """Devices and options."""
        rows, columns = self.compute_s.shape
        return rows, columns

    @property
    def legal(self) -> Mask:
        """The options that there are [devices, options]."""
        return self.compute_s < VOID_S

    @property
    def path_s(self) -> Floats:
        """The shortest time of each option: the device's round alone on its link."""
        return self.compute_s + self.up_bytes / self.up_cap + self.down_bytes / self.down_cap

    def keep(self, mask: Mask) -> Tables:
        """Returns the table of the options under `mask`; every row must keep one."""
        width = int(mask.sum(axis=1).max())
        order = np.argsort(~mask, axis=1, kind="stable")[:, :width]
        kept = np.take_along_axis(mask, order, axis=1)
        table = self._columns(order)
        return evolve(table, compute_s=np.where(kept, table.compute_s, VOID_S))

    def undominated(self) -> Tables:
        """Returns the table without options that another one of the device is no worse than.

        Options are held against those after them, in the order of `compute_s`, of equals the one
        that sends least first: cuts in front of an activation and behind it take the same time.
        """
        order = np.lexsort((self.up_bytes + self.down_bytes, self.compute_s))
        table = self._columns(order)
        sizes = (table.up_bytes, table.down_bytes, table.work_s, table.memory_bytes)
        keeps = table.legal
        for column in range(table.shape[1] - 1):
            worse = keeps[:, column, None]
            for size in sizes:
                worse = worse & (size[:, column + 1 :] >= size[:, column, None])
            keeps[:, column + 1 :] &= ~worse
        return table.keep(keeps)

    def choose(self, choice: Ints) -> Tables:
        """Returns the table [devices, 1] in which every device has one option left."""
        return self._columns(choice[:, None])

    def within(self, up_cap: Floats, down_cap: Floats) -> Tables:
        """Returns the table for devices that are held to rates [devices] and share no link."""
        caps = (np.maximum(cap, _LEAST_BYTES_PER_S)[:, None] for cap in (up_cap, down_cap))
        free = self.unlimited(UP, DOWN)
        return evolve(free, **dict(zip(("up_cap", "down_cap"), caps, strict=True)))

    def unlimited(self, *resources: int) -> Tables:
        """Returns the table without the limits of these resources."""
        limits = self.limits.copy()
        limits[list(resources)] = np.inf
        return evolve(self, limits=limits)

    def _columns(self, order: Ints) -> Tables:
        return evolve(
            self,
            compute_s=np.take_along_axis(self.compute_s, order, axis=1),
            up_bytes=np.take_along_axis(self.up_bytes, order, axis=1),
            down_bytes=np.take_along_axis(self.down_bytes, order, axis=1),
            work_s=np.take_along_axis(self.work_s, order, axis=1),
            memory_bytes=np.take_along_axis(self.memory_bytes, order, axis=1),
            ids=np.take_along_axis(self.ids, order, axis=1),
        )


def tabulate(problem: Problem) -> Tables:
    """Returns the problem as arrays. An option that the device's memory cannot hold is void.

    Raises ValueError for a cost that is negative or not a number.
    """
    shape = (len(problem.devices), max(len(device.options) for device in problem.devices))
    rows = np.repeat(np.arange(shape[0]), [len(device.options) for device in problem.devices])
    columns = np.concatenate([np.arange(len(device.options)) for device in problem.devices])
    costs = _costs([option for device in problem.devices for option in device.options])
    if not np.all(costs >= 0):
        raise ValueError("an option has a cost that is negative or not a number")
    spread = np.zeros((*shape, costs.shape[1]))
    spread[rows, columns] = costs
    forward, backward, server, up, down, state, replica, memory = np.moveaxis(spread, 2, 0)
    fits = np.zeros(shape, np.bool_)
    fits[rows, columns] = True
    fits &= memory <= np.array([[device.memory_bytes] for device in problem.devices])
    steps = problem.local_steps
    limits = _limits(problem)
    return Tables(
        compute_s=np.where(fits, steps * (forward + backward + server), VOID_S),
        up_bytes=np.where(fits, state + steps * up, 0.0),
        down_bytes=np.where(fits, state + steps * down, 0.0),
        work_s=np.where(fits, steps * server, 0.0),
        memory_bytes=np.where(fits, replica, 0.0),
        up_cap=np.minimum([[d.uplink_bytes_per_s] for d in problem.devices], limits[UP]),
        down_cap=np.minimum([[d.downlink_bytes_per_s] for d in problem.devices], limits[DOWN]),
        limits=limits,
        ids=np.broadcast_to(np.arange(shape[1]), shape),
    )


def _costs(options: Sequence[Option]) -> Floats:
    """Returns the columns of options [options, columns]."""
    numbers = chain.from_iterable(map(_columns, options))
    return np.fromiter(numbers, np.float64).reshape(len(options), -1)


def _limits(problem: Problem) -> Floats:
    limits = (
        problem.uplink_bytes_per_s,
        problem.downlink_bytes_per_s,
        float(problem.server_workers),
        problem.server_memory_bytes,
    )
    return np.array([np.inf if limit is None else limit for limit in limits])
