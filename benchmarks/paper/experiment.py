"""The whole experiment, its parts spread over processes."""

from __future__ import annotations

import multiprocessing
import sys
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

import torch
from attrs import frozen

from benchmarks.paper.contenders import FEDAVG, PRODUCT, SPLIT, Contender, contenders
from benchmarks.paper.curves import Curve, learn, write_images
from benchmarks.paper.proof import Proof, prove
from benchmarks.paper.results import LEARNED, PROVED, Results, StepTiming, learned_by
from benchmarks.paper.scene import BUDGETS_MBPS, CURVE_BUDGET_MBPS, MODELS, read_scene
from benchmarks.paper.timing import Timing, time_contender

T = TypeVar("T")
PROOF_CYCLES = {"lent": 5, "turns": 2}
"""Enough to see any difference; a cycle in turns is twelve rounds."""
PROOF_MODEL = "vgg16"
STEPS = (5, 20, 80)
TURN_CYCLES = 5
"""Learning in turns is quick by the cycle, and a cycle is twelve rounds."""


@frozen
class Task:
    """A part of the experiment that a process does by itself."""

    model: str
    contender: Contender
    images: Path

    def timed(self, budget_mbps: float) -> Timing:
        return time_contender(self.model, read_scene(self.model).at(budget_mbps), self.contender)

    def stepped(self, local_steps: int) -> StepTiming:
        scene = read_scene(self.model).at(CURVE_BUDGET_MBPS).stepping(local_steps)
        timing = time_contender(self.model, scene, self.contender)
        return StepTiming(self.model, self.contender, local_steps, timing.cycles.later_s)

    def learned(self) -> Curve:
        scene = read_scene(self.model)
        if self.contender.shares == "turns":
            scene = scene.lasting(TURN_CYCLES)
        return learn(self.model, scene, self.contender, self.images)

    def proved(self, curve: Curve) -> Proof:
        cycles = PROOF_CYCLES[self.contender.shares]
        return prove(read_scene(self.model), self.contender, curve, self.images, cycles)


def experiment(images: Path, processes: int) -> Results:
    """Does all of it, the long parts first."""
    write_images(images)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, torch.set_num_threads, (1,)) as pool:
        tasks = [Task(model, one, images) for model in reversed(MODELS) for one in LEARNED]
        learning = {(t.model, t.contender): pool.submit(t.learned) for t in tasks}
        timing = [
            pool.submit(Task(model, one, images).timed, budget)
            for model in MODELS
            for budget in BUDGETS_MBPS
            for one in contenders()
        ]
        stepping = [
            pool.submit(Task(PROOF_MODEL, one, images).stepped, steps)
            for one in (PRODUCT, SPLIT, FEDAVG)
            for steps in STEPS
        ]
        curves = {key: _told(future) for key, future in learning.items()}
        proving = [
            pool.submit(Task(PROOF_MODEL, one, images).proved, curves[PROOF_MODEL, learned_by(one)])
            for one in PROVED
        ]
        timings, steps = tuple(map(_told, timing)), tuple(map(_told, stepping))
        return Results(timings, tuple(curves.values()), tuple(map(_told, proving)), steps)


def _told(future: Future[T]) -> T:
    """Waits for a part and says what came of it."""
    result = future.result()
    sys.stderr.write(f"{result}\n")
    return result
