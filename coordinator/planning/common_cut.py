"""`common-cut`: SplitFed with the best cut that all devices share and the best bandwidth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from attrs import frozen

from coordinator.planning.admission import Admitted, admit, memory_shortage
from coordinator.planning.branch_and_bound import best_plan
from coordinator.planning.draft import Draft
from coordinator.planning.problem import Problem
from coordinator.planning.solution import Infeasible, Solution
from coordinator.planning.tables import Mask
from coordinator.planning.telling import tell


@frozen
class CommonCut:
    """One cut for all; each device may still have a codec of its own."""

    name: ClassVar[str] = "common-cut"

    def solve(self, problem: Problem) -> Solution | Infeasible:
        admitted = admit(problem, self.name)
        if not isinstance(admitted, Admitted):
            return admitted
        masks = list(_common(admitted))
        if not masks:
            return _no_common_cut(admitted, self.name)
        drafts: list[Draft] = []
        for mask in masks:
            best = best_plan(admitted.tables.keep(mask))
            if best is not None:
                drafts.append(best.draft)
        if not drafts:
            return memory_shortage(admitted, self.name)
        return tell(admitted, self.name, min(drafts, key=lambda draft: draft.round_s))


def _common(admitted: Admitted) -> Iterator[Mask]:
    """Yields the options of each cut that every device can take."""
    numbers: dict[str, int] = {}
    cuts = np.full(admitted.tables.shape, -1)
    for row, device in enumerate(admitted.problem.devices):
        for column, option in enumerate(device.options):
            cuts[row, column] = numbers.setdefault(option.cut, len(numbers))
    for number in range(len(numbers)):
        mask = cuts == number
        if mask.any(axis=1).all():
            yield mask


def _no_common_cut(admitted: Admitted, planner: str) -> Infeasible:
    devices = admitted.problem.devices
    narrow = min(devices, key=lambda device: len({option.cut for option in device.options}))
    cuts = ", ".join(sorted({option.cut for option in narrow.options}))
    return Infeasible(
        planner,
        f"no cut fits all {len(devices)} devices; {narrow.id} can take only {cuts}",
        f"leave out {narrow.id}, or choose a planner that gives every device its own cut",
        admitted.left_out,
    )
