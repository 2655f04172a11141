"""Holds curves with clocks laid over them to complete runs, which learn and take time at once."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from benchmarks.paper.contenders import Contender
from benchmarks.paper.curves import Curve, accuracies
from benchmarks.paper.performance import perform
from benchmarks.paper.scene import Scene
from benchmarks.paper.timing import cycle_lengths_s, cycles_of, two_cycles


@frozen
class Proof:
    """How far an overlay is from a complete run at a budget, over the first `cycles` of both.

    `accuracy_gap` is the largest difference, a part of 1. `first_gap` and `later_gap` are relative
    differences of the first cycle's length, and the largest of later ones.
    """

    model: str
    contender: Contender
    budget_mbps: float
    cycles: int
    accuracy_gap: float
    first_gap: float
    later_gap: float


def prove(scene: Scene, contender: Contender, curve: Curve, images: Path, cycles: int) -> Proof:
    """Runs the narrow model completely, with the links, boards and cuts of the scene.

    The curve is the one that the tables use for the contender; the clock is that of two cycles
    of stand-ins. `cycles` is 2 or more.
    """
    planner = contender.planner(scene, contender.solve(scene))
    narrow = scene.coded(contender.codec).narrow(images)
    clock = cycles_of(two_cycles(narrow, contender, planner), planner.rounds_a_cycle)
    paced = contender.shares != "unpaced"
    whole = perform(narrow.lasting(cycles), planner, scene.setting(paced=paced, learn=True))
    length = planner.rounds_a_cycle
    first_s, *later_s = cycle_lengths_s(whole, length)
    return Proof(
        curve.model,
        contender,
        scene.budget_mbps,
        cycles,
        accuracy_gap=_gap(curve.accuracies, accuracies(whole, length)),
        first_gap=abs(clock.first_s / first_s - 1),
        later_gap=max(abs(clock.later_s / one - 1) for one in later_s),
    )


def _gap(longer: tuple[float, ...], shorter: tuple[float, ...]) -> float:
    return max(abs(a - b) for a, b in zip(longer, shorter, strict=False))
