"""Hash chains that carry something, so that letters have a size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
from attrs import define, field

from coordinator.tasks import Prepare, ServeStep
from device_agent.tasks import Finish, Forward
from runtime.executor import Executor
from runtime.ids import DeviceId
from runtime.letters import Tensors
from runtime.tensors import pack
from tests.world import NullLaboratory

LAYER_STATE: tuple[type, ...] = (Prepare, Finish)
"""What makes orders and results ready."""
ALL: tuple[type, ...] = (*LAYER_STATE, ServeStep, Forward)


@define
class Bulky:
    """Gives what an executor makes in tasks of the kinds `carriers` a size, and tasks a time."""

    executor: Executor
    ballast: Tensors
    carriers: tuple[type, ...]
    takes_s: Mapping[type, float]

    def modelled_s(self, task: Any) -> float:
        return self.takes_s.get(type(task), self.executor.modelled_s(task))

    def run(self, task: Any) -> Any:
        result = self.executor.run(task)
        if not isinstance(task, self.carriers):
            return result
        if isinstance(task, Forward):
            return {**result, **self.ballast}
        return attrs.evolve(result, tensors={**result.tensors, **self.ballast})


@define
class BulkyLaboratory(NullLaboratory):
    """Letters that `carriers` make hold `ballast_bytes` more; tasks take what `takes_s` says."""

    ballast_bytes: int = 0
    carriers: tuple[type, ...] = ALL
    takes_s: Mapping[type, float] = field(factory=dict)

    def coordinator(self) -> tuple[Any, int, Mapping[DeviceId, int]]:
        executor, done, positions = super().coordinator()
        return self._bulky(executor), done, positions

    def device(self, name: DeviceId) -> tuple[Any, int]:
        executor, held_samples = super().device(name)
        return self._bulky(executor), held_samples

    def _bulky(self, executor: Executor) -> Bulky:
        return Bulky(executor, ballast(self.ballast_bytes), self.carriers, self.takes_s)


def ballast(size_bytes: int) -> Tensors:
    """Returns tensors of that size, none for 0."""
    return {"ballast": pack(np.zeros(size_bytes, np.uint8))} if size_bytes else {}
