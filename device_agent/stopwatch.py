"""How long steps take, and how long those of an emulated board have to take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import numpy as np
from attrs import define

from runtime.letters import StepTimes

T = TypeVar("T")
Part = Literal["forward", "backward"]

FORWARD_SHARE = 1 / 3
"""Of a step's time; the backward pass costs about twice the forward pass."""


_MOST_TIMES = 1e6


@define
class Slowdown:
    """By how many times steps take longer than usual; whoever plays the board may change it."""

    times: float = 1.0

    def hear(self, word: dict[str, Any]) -> None:
        """Takes `{"slow": times}`, in any thread; the next part of a step goes by it."""
        times = word.get("slow")
        if isinstance(times, int | float) and 0 < times <= _MOST_TIMES:
            self.times = float(times)


class Stopwatch:
    """Times the compute of every local step, and stretches it to the emulated board's time.

    Real work counts; only the rest is waited for. A step that takes longer than the board would
    is an overrun: the emulation was not slow enough to be true. A board without a time of its own
    is slowed down by what its work really takes.
    """

    def __init__(self, target_s: float = 0.0, slowdown: Slowdown | None = None) -> None:
        self._target_s = target_s
        self._slowdown = slowdown or Slowdown()
        self._steps_s: list[float] = []
        self._parts_s: dict[Part, list[float]] = {"forward": [], "backward": []}
        self._step_s: dict[Part, float] = {"forward": 0.0, "backward": 0.0}
        self._overran = False
        self.overruns = 0

    def spend(self, part: Part, share: float, work: Callable[[], T]) -> T:
        """Does a part of a step, which takes `share` of the emulated board's step time."""
        began = time.perf_counter()
        result = work()
        worked_s = time.perf_counter() - began
        due_s = (self._target_s * share or worked_s) * self._slowdown.times
        left_s = due_s - worked_s
        if left_s > 0:
            time.sleep(left_s)
        elif self._target_s:
            self._overran = True
        self._step_s[part] += max(worked_s, due_s)
        return result

    def step_done(self) -> None:
        """Closes the books on a local step."""
        self._steps_s.append(sum(self._step_s.values()))
        for part, part_s in self._step_s.items():
            self._parts_s[part].append(part_s)
            self._step_s[part] = 0.0
        self.overruns += self._overran
        self._overran = False

    def median_s(self, part: Part) -> float:
        """Returns the median over all steps so far of one part, 0 before the first."""
        return float(np.median(self._parts_s[part])) if self._parts_s[part] else 0.0

    def quantiles(self) -> StepTimes:
        """Returns the quantiles over all steps so far."""
        if not self._steps_s:
            return StepTimes()
        p50_s, p90_s, max_s = np.quantile(self._steps_s, [0.5, 0.9, 1.0]).tolist()
        return StepTimes(p50_s, p90_s, max_s)
