"""All that the experiment found."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from benchmarks.paper.contenders import FEDAVG, PRODUCT, SEQUENTIAL, SPLIT, Contender
from benchmarks.paper.curves import Curve
from benchmarks.paper.proof import Proof
from benchmarks.paper.scene import BUDGETS_MBPS, CURVE_BUDGET_MBPS
from benchmarks.paper.timing import Timing


@frozen
class StepTiming:
    """A contender's later cycle with another number of local steps."""

    model: str
    contender: Contender
    local_steps: int
    cycle_s: float


@frozen
class Results:
    """Times of full-size models, curves of narrow ones, and what holds them together."""

    timings: tuple[Timing, ...]
    curves: tuple[Curve, ...]
    proofs: tuple[Proof, ...]
    steps: tuple[StepTiming, ...]

    def timing(self, model: str, budget_mbps: float, contender: Contender) -> Timing:
        """Returns the timing of that contender. Raises StopIteration where there is none."""
        key = (model, budget_mbps, contender)
        return next(t for t in self.timings if (t.model, t.budget_mbps, t.contender) == key)

    def contenders(self, model: str) -> tuple[Contender, ...]:
        """Returns those that were timed, in the order of the tables."""
        return tuple(dict.fromkeys(t.contender for t in self.timings if t.model == model))

    def curve(self, model: str, contender: Contender) -> Curve:
        """Returns the curve of the contender's scheme and codec."""
        learned = learned_by(contender)
        return next(c for c in self.curves if (c.model, c.contender) == (model, learned))

    def seconds_to(self, timing: Timing, accuracy: float) -> float | None:
        """Returns the time to an accuracy; None if the curve never reaches it."""
        cycles = self.curve(timing.model, timing.contender).cycles_to(accuracy)
        return None if cycles is None else timing.cycles.until(cycles)


LEARNED: Sequence[Contender] = (PRODUCT, SPLIT, SEQUENTIAL)


def learned_by(contender: Contender) -> Contender:
    """Returns who learned the curve: only scheme and codec count.

    FedAvg's boards train the same whole model as a board and its replica do together.
    """
    if contender.in_turns:
        return SEQUENTIAL
    return PRODUCT if contender.codec == PRODUCT.codec else SPLIT


PROVED: Sequence[tuple[Contender, float]] = (
    (PRODUCT, CURVE_BUDGET_MBPS),
    (SEQUENTIAL, CURVE_BUDGET_MBPS),
    (FEDAVG, CURVE_BUDGET_MBPS),
    (SPLIT, BUDGETS_MBPS[-1]),
    (PRODUCT, BUDGETS_MBPS[-1]),
)
"""One of each scheme, with the budget. The last three do not have the cuts that the curve had:
what they learn differs from it as two runs differ that round differently."""
