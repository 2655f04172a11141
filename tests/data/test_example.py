from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from coordinator.fleet import Fleet
from coordinator.job import Job
from coordinator.rehearsal.partition import partition
from runtime.config import load_pair
from runtime.dataset import open_source
from runtime.entry_point import load_function
from runtime.errors import DataError

EXAMPLE = Path(__file__).parents[2] / "examples" / "fashion_mnist"
PACKAGED = Path("/usr/share/datasets/fashion-mnist")


def files() -> tuple[Job, Fleet]:
    return load_pair((EXAMPLE / "job.toml", Job), (EXAMPLE / "fleet.toml", Fleet))


@pytest.mark.parametrize(("name", "count"), [("train.npz", 6000), ("test.npz", 5000)])
def test_the_data_fit_the_job(name: str, count: int) -> None:
    job, _ = files()
    shape, dtype, classes = job.input.shape, job.input.dtype, job.input.classes
    data = open_source(name, job.base).fit(shape, dtype, classes)
    assert (len(data), str(data.inputs.dtype)) == (count, "uint8")
    assert np.bincount(data.labels, minlength=10).min() > 450


def test_the_fleet_covers_three_cuts_and_moves_one() -> None:
    _, fleet = files()
    first = [fleet.cut_at(one, 20) for one in fleet.ids]
    second = [fleet.cut_at(one, 21) for one in fleet.ids]
    assert set(first) == set(second) == {"block1", "block2", "block3"}
    assert sum(one != two for one, two in zip(first, second, strict=True)) == 1


def test_the_boards_stand_in_the_right_order() -> None:
    _, fleet = files()
    rates = [one.emulate.gflops or 0.0 for one in fleet.devices]
    assert all(slow < fast for slow, fast in pairwise(rates))


def test_every_board_gets_a_share_of_its_own_kind() -> None:
    _, fleet = files()
    data = fleet.data
    assert data is not None
    labels = open_source(data.source, fleet.base).labels
    parts = partition(labels, 4, data.partition, data.alpha, data.seed, data.minimum_samples)
    assert min(map(len, parts)) >= 500
    counts = np.array([np.bincount(labels[part], minlength=10) for part in parts])
    assert (counts.max(axis=1) > 3 * counts.mean(axis=1) / 2).all()


@pytest.mark.skipif(not PACKAGED.is_dir(), reason="needs Debian's dataset-fashion-mnist")
def test_the_tool_makes_the_committed_files(tmp_path: Path) -> None:
    load_function("make_subset.py:make_subsets", EXAMPLE, DataError)(PACKAGED, tmp_path)
    for name in ("train.npz", "test.npz"):
        assert (tmp_path / name).read_bytes() == (EXAMPLE / name).read_bytes()
