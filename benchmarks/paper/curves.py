"""What a scheme learns, cycle by cycle: real training by the product's own executors.

In `replicas` mode the weights after a round follow from plan, data and seed alone, not from how
long anything took. So a curve is learned once, where links carry anything at once, and the clock
of every contender is laid over it; `proof` holds such curves to complete runs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from attrs import frozen

from benchmarks.paper.contenders import Contender
from benchmarks.paper.performance import perform
from benchmarks.paper.scene import CURVE_BUDGET_MBPS, Scene
from coordinator.record.run_record import Entry
from coordinator.simulation.simulation import Setting
from runtime.dataset import open_source
from runtime.shard import write_shard

EXAMPLE = Path(__file__).parents[2] / "examples" / "fashion_mnist"
TEST_IMAGES = 1000
_MARGIN = 2
"""28 pixels become 32."""


@frozen
class Curve:
    """Accuracy on the test images after every cycle, the first cycle first."""

    model: str
    contender: Contender
    accuracies: tuple[float, ...]

    def cycles_to(self, accuracy: float) -> int | None:
        """Returns after how many cycles it is reached first; None if it never is."""
        reached = (n for n, one in enumerate(self.accuracies, start=1) if one >= accuracy)
        return next(reached, None)


def learn(model: str, scene: Scene, contender: Contender, images: Path) -> Curve:
    """Trains the narrow model with the contender's cuts, in a world without delays."""
    planner = contender.planner(scene, contender.solve(scene.at(CURVE_BUDGET_MBPS)))
    narrow = scene.coded(contender.codec).narrow(images)
    rounds = perform(narrow, planner, Setting(learn=True))
    return Curve(model, contender, accuracies(rounds, planner.rounds_a_cycle))


def accuracies(rounds: list[Entry], rounds_a_cycle: int) -> tuple[float, ...]:
    """Returns those at the ends of cycles."""
    return tuple(float(one["accuracy"]) for one in rounds[rounds_a_cycle - 1 :: rounds_a_cycle])


def write_images(folder: Path) -> None:
    """Writes the example's part of Fashion-MNIST with a margin, 32 pixels wide and high."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in (("train", None), ("test", TEST_IMAGES)):
        whole = open_source(f"{name}.npz", EXAMPLE)
        sides = ((0, 0), (0, 0), (_MARGIN, _MARGIN), (_MARGIN, _MARGIN))
        images = np.pad(whole.inputs, sides)[:count]
        write_shard(folder / f"{name}.npz", images[:, 0], whole.labels[:count])
