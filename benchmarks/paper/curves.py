"""What a scheme learns, cycle by cycle: real training by the product's own executors.

In `replicas` mode the weights after a round follow from plan, data and seed alone, not from how
long anything took. So a curve is learned once, where links carry anything at once, and the clock
of every contender is laid over it; `overlay.prove` holds such a curve to complete runs.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from attrs import frozen

from benchmarks.paper.contenders import Replay, Turns
from benchmarks.paper.scene import SERVER_GFLOPS, Scene
from coordinator.record.run_record import Entry, RunRecord
from coordinator.simulation.simulation import Setting, simulate
from runtime.dataset import open_source
from runtime.exits import Exit
from runtime.shard import write_shard

EXAMPLE = Path(__file__).parents[2] / "examples" / "fashion_mnist"
TEST_IMAGES = 1000
_MARGIN = 2
"""28 pixels become 32."""


@frozen
class Curve:
    """Accuracy on the test images after every cycle, the first cycle first."""

    accuracies: tuple[float, ...]

    def cycles_to(self, accuracy: float) -> int | None:
        """Returns after how many cycles it is reached first; None if it never is."""
        reached = (n for n, one in enumerate(self.accuracies, start=1) if one >= accuracy)
        return next(reached, None)


def learn(scene: Scene, planner: Replay | Turns, setting: Setting | None = None) -> list[Entry]:
    """Returns the record of the scene's job really trained; None is a world of no delays."""
    setting = setting or Setting(server_gflops=SERVER_GFLOPS, learn=True)
    run = scene.lasting(scene.job.training.rounds * planner.rounds_a_cycle)
    with tempfile.TemporaryDirectory() as folder:
        record = RunRecord.begin(Path(folder) / "run")
        simulated = simulate(run.job, run.fleet, record, setting, planner=planner)
        rounds = record.rounds()
    if simulated.halt.code is not Exit.OK:
        raise ValueError(f"{run.job.name} ended early: {simulated.halt.reason}")
    return rounds


def curve_of(rounds: list[Entry], rounds_a_cycle: int) -> Curve:
    """Returns the accuracies at the ends of cycles."""
    return Curve(tuple(float(one["accuracy"]) for one in rounds[rounds_a_cycle - 1 :: rounds_a_cycle]))


def write_images(folder: Path) -> None:
    """Writes the example's part of Fashion-MNIST with a margin, 32 pixels wide and high."""
    for name, count in (("train", None), ("test", TEST_IMAGES)):
        whole = open_source(f"{name}.npz", EXAMPLE)
        sides = ((0, 0), (0, 0), (_MARGIN, _MARGIN), (_MARGIN, _MARGIN))
        images = np.pad(whole.inputs, sides)[:count]
        write_shard(folder / f"{name}.npz", images[:, 0], whole.labels[:count])
