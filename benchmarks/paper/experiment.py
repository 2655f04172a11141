"""The whole experiment, its parts spread over processes."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from attrs import frozen

from benchmarks.paper.contenders import FEDAVG, PRODUCT, SPLIT, Contender, contenders
from benchmarks.paper.curves import Curve, learn, write_images
from benchmarks.paper.parts import Part, Parts
from benchmarks.paper.proof import Proof, prove
from benchmarks.paper.results import LEARNED, PROVED, Results, StepTiming, learned_by
from benchmarks.paper.scene import BUDGETS_MBPS, CURVE_BUDGET_MBPS, MODELS, read_scene
from benchmarks.paper.timing import Timing, time_contender

PROOF_CYCLES = {"lent": 5, "turns": 2}
"""Enough to see any difference; a cycle in turns is twelve rounds."""
PROOF_MODEL = "vgg16"
STEPS = (5, 20, 80)
TURN_CYCLES = 5
"""Learning in turns is quick by the cycle, and a cycle is twelve rounds."""


def experiment(folder: Path, processes: int) -> Results:
    """Does all that is not kept in `folder`, the long parts first."""
    images = folder / "images"
    write_images(images)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, torch.set_num_threads, (1,)) as pool:
        work = _Work(Parts(folder, pool), images)
        learning = {(m, one): work.learned(m, one) for m in reversed(MODELS) for one in LEARNED}
        timing = [
            work.timed(model, one, budget)
            for model in MODELS
            for budget in BUDGETS_MBPS
            for one in contenders()
        ]
        stepping = [work.stepped(one, n) for one in (PRODUCT, SPLIT, FEDAVG) for n in STEPS]
        curves = {key: part.wait() for key, part in learning.items()}
        proving = [
            work.proved(one, budget, curves[PROOF_MODEL, learned_by(one)]) for one, budget in PROVED
        ]
        return Results(
            tuple(part.wait() for part in timing),
            tuple(curves.values()),
            tuple(part.wait() for part in proving),
            tuple(part.wait() for part in stepping),
        )


@frozen
class _Work:
    parts: Parts
    images: Path

    def timed(self, model: str, one: Contender, budget_mbps: float) -> Part[Timing]:
        name = f"timing-{model}-{budget_mbps:g}-{_id(one)}"
        return self.parts.find(Timing, name, timed, model, one, budget_mbps)

    def stepped(self, one: Contender, local_steps: int) -> Part[StepTiming]:
        name = f"steps-{PROOF_MODEL}-{local_steps}-{_id(one)}"
        return self.parts.find(StepTiming, name, stepped, PROOF_MODEL, one, local_steps)

    def learned(self, model: str, one: Contender) -> Part[Curve]:
        name = f"curve-{model}-{_id(one)}"
        return self.parts.find(Curve, name, learned, model, one, self.images)

    def proved(self, one: Contender, budget_mbps: float, curve: Curve) -> Part[Proof]:
        name = f"proof-{PROOF_MODEL}-{budget_mbps:g}-{_id(one)}"
        return self.parts.find(Proof, name, proved, one, budget_mbps, curve, self.images)


def timed(model: str, one: Contender, budget_mbps: float) -> Timing:
    """Times a contender at one budget."""
    return time_contender(model, read_scene(model).at(budget_mbps), one)


def stepped(model: str, one: Contender, local_steps: int) -> StepTiming:
    """Times a contender with another number of local steps."""
    scene = read_scene(model).at(CURVE_BUDGET_MBPS).stepping(local_steps)
    timing = time_contender(model, scene, one)
    return StepTiming(model, one, local_steps, timing.cycles.later_s)


def learned(model: str, one: Contender, images: Path) -> Curve:
    """Learns a curve."""
    scene = read_scene(model)
    return learn(model, scene.lasting(TURN_CYCLES) if one.in_turns else scene, one, images)


def proved(one: Contender, budget_mbps: float, curve: Curve, images: Path) -> Proof:
    """Holds a curve to a complete run at one budget."""
    scene = read_scene(curve.model).at(budget_mbps)
    return prove(scene, one, curve, images, PROOF_CYCLES[one.shares])


def _id(one: Contender) -> str:
    return f"{one.solver}-{one.codec}-{one.shares}"
