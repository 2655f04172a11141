"""What int8 in both directions costs in accuracy: the example's job against itself in fp32.

Both runs of a seed share initial weights, data order and partition, so that the differences are
paired. The product's own executors train in the virtual world; the score is the final model's on
all 10,000 test images of Debian's package dataset-fashion-mnist.

    python -m benchmarks.int8_accuracy [--seeds 3] [--rounds 40]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from attrs import evolve, frozen

from coordinator.fleet import Fleet
from coordinator.job import CodecLimits, CodecName, Job
from coordinator.learning.objective import cross_entropy, evaluate
from coordinator.rehearsal.partition import partition
from runtime.config import load_pair
from runtime.dataset import Dataset, open_source
from runtime.ids import DeviceId
from tests.learning.laboratory import LearningLaboratory, learning_world

EXAMPLE = Path(__file__).parents[1] / "examples" / "fashion_mnist"
PACKAGED = Path("/usr/share/datasets/fashion-mnist")
TEST_IMAGES = "idx:t10k-images-idx3-ubyte.gz,t10k-labels-idx1-ubyte.gz"
WATCHED_SAMPLES = 100
"""The rounds' own evaluation plays no part here, so it is kept short."""


@frozen
class Pair:
    """Accuracies of one seed."""

    seed: int
    fp32: float
    int8: float

    @property
    def points(self) -> float:
        """The gain of int8 in percentage points."""
        return 100 * (self.int8 - self.fp32)


def measure(seed: int, rounds: int) -> Pair:
    """Trains the example's job twice from the same seed."""
    return Pair(seed, _accuracy("fp32", seed, rounds), _accuracy("int8", seed, rounds))


def _accuracy(codec: CodecName, seed: int, rounds: int) -> float:
    job, fleet = load_pair((EXAMPLE / "job.toml", Job), (EXAMPLE / "fleet.toml", Fleet))
    training = evolve(job.training, seed=seed, rounds=rounds)
    job = evolve(job, job=training, codec=CodecLimits(codec, codec))
    test = open_source(TEST_IMAGES, PACKAGED).fit(job.input.shape, "float32", job.input.classes)
    with tempfile.TemporaryDirectory() as folder:
        laboratory = LearningLaboratory(job, _shards(fleet, seed), _first(test), Path(folder))
        world = learning_world(laboratory, fleet.cut_at)
        world.start_all()
        world.run()
    assert laboratory.executor is not None
    return evaluate(laboratory.executor.model, cross_entropy, test, 500).accuracy


def _shards(fleet: Fleet, seed: int) -> dict[DeviceId, Dataset]:
    data = fleet.data
    assert data is not None
    whole = open_source(data.source, fleet.base)
    names = fleet.ids
    parts = partition(
        whole.labels, len(names), data.partition, data.alpha, seed, data.minimum_samples
    )
    return {
        name: evolve(whole, inputs=whole.inputs[part], labels=whole.labels[part])
        for name, part in zip(names, parts, strict=True)
    }


def _first(data: Dataset) -> Dataset:
    few = slice(WATCHED_SAMPLES)
    return evolve(data, inputs=data.inputs[few], labels=data.labels[few])


def table(pairs: Sequence[Pair]) -> str:
    """Returns the accuracies as a table in Markdown."""
    lines = ["| seed | fp32 | int8 both ways | difference |", "|---|---|---|---|"]
    lines += [f"| {p.seed} | {p.fp32:.2%} | {p.int8:.2%} | {p.points:+.2f} points |" for p in pairs]
    fp32 = statistics.fmean(pair.fp32 for pair in pairs)
    int8 = statistics.fmean(pair.int8 for pair in pairs)
    lines.append(f"| mean | {fp32:.2%} | {int8:.2%} | {100 * (int8 - fp32):+.2f} points |")
    return "\n".join(lines)


def main() -> None:
    """Reads the command line, trains, and prints the table."""
    parser = argparse.ArgumentParser(description="accuracy of int8 both ways against fp32")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=40)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(table([measure(seed, args.rounds) for seed in range(args.seeds)]))


if __name__ == "__main__":
    main()
