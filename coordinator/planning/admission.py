"""Which devices can take part, and what to say when a problem has no plan."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate

import numpy as np
from attrs import evolve, frozen

from coordinator.planning.problem import DeviceProblem, Option, Problem
from coordinator.planning.solution import Infeasible, LeftOut
from coordinator.planning.tables import MEMORY, Tables, tabulate

MB = 1e6


@frozen(eq=False)
class Admitted:
    """A problem in which every device has an option that fits it, and the devices without."""

    problem: Problem
    tables: Tables
    left_out: tuple[LeftOut, ...]


def admit(
    problem: Problem,
    planner: str,
    wanted: Callable[[Option], bool] = lambda option: True,
    unwanted: str = "",
) -> Admitted | Infeasible:
    """Leaves out the devices that no wanted option fits; Infeasible if that is all of them.

    `unwanted` is the reason for a device all of whose fitting options are not wanted.
    """
    able, left_out = [], []
    for device in problem.devices:
        limit_bytes = device.memory_bytes
        fitting = [one for one in device.options if one.device_memory_bytes <= limit_bytes]
        options = tuple([one for one in fitting if wanted(one)])
        if options:
            all_fit = options == device.options
            able.append(device if all_fit else evolve(device, options=options))
        else:
            reason = unwanted if fitting else _misfit(device)
            left_out.append(LeftOut(device.id, reason))
    if not able:
        reasons = "; ".join(f"{left.device}: {left.reason}" for left in left_out)
        remedy = "give a board more memory, allow shallower cuts, or make the batch smaller"
        return Infeasible(planner, reasons or "there is no device", remedy, tuple(left_out))
    admitted = evolve(problem, devices=tuple(able))
    return Admitted(admitted, tabulate(admitted), tuple(left_out))


def memory_shortage(admitted: Admitted, planner: str) -> Infeasible:
    """Says that the server's memory cannot hold a replica for every device, and what could."""
    tables = admitted.tables
    memory = np.where(tables.legal, tables.memory_bytes, np.inf).min(axis=1)
    limit = float(tables.limits[MEMORY])
    fitting = sum(1 for total in accumulate(sorted(memory)) if total <= limit)
    more = f"give the server {memory.sum() / MB:.1f} MB"
    with_fewer = f"{more}, allow deeper cuts, or train with {fitting} of the devices"
    remedy = with_fewer if fitting else f"{more}, or allow deeper cuts"
    return Infeasible(
        planner,
        f"the replicas of {len(memory)} devices take at least {memory.sum() / MB:.1f} MB and the "
        f"server has {limit / MB:.1f} MB",
        remedy,
        admitted.left_out,
    )


def _misfit(device: DeviceProblem) -> str:
    if not device.options:
        return "no cut is legal for it"
    smallest = min(device.options, key=lambda option: option.device_memory_bytes)
    return (
        f"its smallest option, cut {smallest.cut}, takes "
        f"{smallest.device_memory_bytes / MB:.1f} MB and it has {device.memory_bytes / MB:.1f} MB"
    )
