"""Small jobs to learn: a model of the zoo, an optimiser, and data with something in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from attrs import evolve, field, frozen

from coordinator.job import CodecLimits, CodecName, Evaluation, Input, Job, Model, Training
from runtime.dataset import Dataset
from runtime.optimisers import OptimiserSpec
from runtime.schedules import ScheduleSpec

CLASSES = 10
SGD = OptimiserSpec("sgd", lr=0.05, momentum=0.9, weight_decay=5e-4)
ADAM = OptimiserSpec("adam", lr=2e-3, weight_decay=5e-4)


@frozen
class Lesson:
    """A model, by its factory, the shape of one sample, and rates that suit it."""

    name: str
    factory: str
    shape: tuple[int, ...]
    args: Mapping[str, Any] = field(factory=dict)
    sgd: OptimiserSpec = SGD
    adam: OptimiserSpec = ADAM

    def job(
        self,
        optimiser: OptimiserSpec,
        *,
        rounds: int = 20,
        local_steps: int = 1,
        batch: int = 16,
        codec: CodecName = "fp32",
    ) -> Job:
        """A job of this model whose learning rate falls at every step."""
        return Job(
            job=Training("lesson", rounds, local_steps, batch, seed=5),
            model=Model(self.factory, self.args),
            input=Input(self.shape, CLASSES),
            optimiser=optimiser,
            schedule=ScheduleSpec("cosine"),
            codec=CodecLimits(codec, codec),
            evaluation=Evaluation("none.npz", batch=64),
            base=Path(),
        )

    def data(self, count: int = 88, seed: int = 1) -> Dataset:
        """Noisy pictures of ten patterns, the same at every call."""
        random = np.random.default_rng(seed)
        patterns = np.random.default_rng(0).integers(0, 192, (CLASSES, *self.shape))
        labels = random.integers(0, CLASSES, count)
        inputs = patterns[labels] + random.integers(0, 64, (count, *self.shape))
        return Dataset(self.name, inputs.astype(np.uint8), labels, "float32")


SMALL_CNN = Lesson(
    "small_cnn",
    "coordinator.zoo.small_cnn:small_cnn",
    (1, 16, 16),
    {"widths": [8, 16], "image_size": 16},
)
# With gates that flip, higher rates blow rounding up until torch differs from itself in the loss.
RESNET = Lesson(
    "resnet18",
    "coordinator.zoo.resnet:resnet18",
    (3, 16, 16),
    {"width": 0.125},
    sgd=evolve(SGD, lr=1e-3),
    adam=evolve(ADAM, lr=3e-4),
)
SMOOTH_RESNET = Lesson(
    "smooth_resnet", "tests.learning.smooth_resnet:smooth_resnet", (3, 16, 16), {"width": 0.125}
)
VIT = Lesson(
    "vit",
    "coordinator.zoo.vit:vit",
    (3, 16, 16),
    {"width": 24, "depth": 2, "image_size": 16},
)
VIT_DROPOUT = evolve(VIT, name="vit-dropout", args={**VIT.args, "dropout": 0.1})
