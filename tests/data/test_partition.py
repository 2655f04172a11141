from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.fleet import Data, Device, Fleet, FleetName, PartitionKind
from coordinator.rehearsal.partition import add_arguments, deal, partition, run
from runtime.dataset import open_source
from runtime.errors import DataError, StorageError
from runtime.shard import write_shard

LABELS = np.arange(2000) % 10


def shares(alpha: float | None, kind: PartitionKind = "dirichlet") -> float:
    """Returns the mean, over classes, of the largest share that one of four devices holds."""
    parts = partition(LABELS, 4, kind, alpha, seed=1)
    counts = np.array([np.bincount(LABELS[part], minlength=10) for part in parts])
    return float((counts.max(axis=0) / counts.sum(axis=0)).mean())


@settings(max_examples=150, deadline=None)
@given(
    labels=st.lists(st.integers(0, 5), min_size=1, max_size=120),
    devices=st.integers(1, 8),
    minimum=st.integers(0, 12),
    alpha=st.sampled_from([None, 0.01, 0.5, 100.0]),
    seed=st.integers(0, 2**32),
)
def test_every_sample_is_dealt_once_and_nobody_gets_too_few(
    labels: list[int], devices: int, minimum: int, alpha: float | None, seed: int
) -> None:
    numbers = np.array(labels)
    kind: PartitionKind = "iid" if alpha is None else "dirichlet"
    if devices * minimum > len(labels):
        with pytest.raises(DataError, match="fewer devices"):
            partition(numbers, devices, kind, alpha, seed, minimum)
        return
    parts = partition(numbers, devices, kind, alpha, seed, minimum)
    assert len(parts) == devices
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
    assert min(map(len, parts)) >= minimum
    again = partition(numbers, devices, kind, alpha, seed, minimum)
    assert all(np.array_equal(one, two) for one, two in zip(parts, again, strict=True))


def test_the_seed_decides() -> None:
    one, two = (partition(LABELS, 4, "dirichlet", 0.5, seed) for seed in (1, 2))
    assert [part.tolist() for part in one] != [part.tolist() for part in two]


def test_alpha_is_the_evenness_of_the_classes() -> None:
    assert shares(None, "iid") < 0.35
    assert shares(1000.0) < 0.35
    assert shares(0.5) > 0.45
    assert shares(0.05) > 0.8


def test_an_iid_partition_is_even() -> None:
    assert [len(part) for part in partition(LABELS[:10], 4)] == [3, 3, 2, 2]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    inputs = np.arange(200, dtype=np.uint8).reshape(200, 1, 1, 1)
    write_shard(tmp_path / "all.npz", inputs, np.arange(200) % 3)
    return tmp_path


def fleet(base: Path, devices: tuple[Device, ...], data: Data | None) -> Fleet:
    return Fleet(fleet=FleetName("demo"), device=devices, data=data, base=base)


def test_a_rehearsal_deals_to_the_devices_without_data_of_their_own(source: Path) -> None:
    devices = (Device("a", "c"), Device("b", "c", data="own.npz"), Device("c", "c"))
    spec = Data("all.npz", "dirichlet", 0.5, minimum_samples=60)
    sources = deal(fleet(source, devices, spec), source / "shards")
    assert sources["b"] == str(source / "own.npz")  # type: ignore[index]
    shards = [open_source(text, Path("/")) for key, text in sources.items() if key != "b"]
    assert min(map(len, shards)) >= 60
    pixels = np.concatenate([shard.inputs.ravel() for shard in shards])
    labels = np.concatenate([shard.labels for shard in shards])
    assert sorted(pixels.tolist()) == list(range(200))
    np.testing.assert_array_equal(labels, pixels % 3)


def test_a_device_without_any_data_is_named(source: Path) -> None:
    devices = (Device("a", "c"), Device("b", "c", data="own.npz"))
    with pytest.raises(DataError, match="no data for a;"):
        deal(fleet(source, devices, None), source)
    assert list(deal(fleet(source, devices[1:], None), source)) == ["b"]


def test_samples_of_many_labels_cannot_be_partitioned(source: Path) -> None:
    write_shard(source / "text.npz", np.zeros((4, 5), np.int64), np.zeros((4, 5), np.int64))
    with pytest.raises(DataError, match="more than one label"):
        deal(fleet(source, (Device("a", "c"),), Data("text.npz")), source)


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


def test_the_command_writes_shards_and_shows_the_classes(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = parsed(str(source / "all.npz"), "--devices", "2", "--out", str(source / "new" / "out"))
    assert run(args) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["device", "samples", "class", "0", "class", "1", "class", "2"]
    assert [line[:2] for line in lines[1:]] == [["device-1", "100"], ["device-2", "100"]]
    assert [sum(map(int, line[2:])) for line in lines[1:]] == [100, 100]
    assert len(open_source("device-2.npz", source / "new" / "out")) == 100


def test_the_command_takes_ids_and_a_skew(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(source / "all.npz"), "--devices", "x,y", "--alpha", "0.1", "--out", str(source)]
    assert run(parsed(*words)) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == ["x", "y"]
    assert (source / "x.npz").is_file()


@pytest.mark.parametrize(
    "words",
    [
        ("--devices", "0"),
        ("--devices", "a,a"),
        ("--devices", "../a,b"),
        ("--devices", "2", "--alpha", "0"),
        ("--devices", "2", "--alpha", "nan"),
        ("--devices", "2", "--seed", "-1"),
        ("--devices", "2", "--minimum-samples", "0"),
    ],
)
def test_a_wrong_command_line_is_refused(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parsed("all.npz", "--out", "x", *words)
    assert caught.value.code == 2
    assert words[-2] in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_a_storage_error(source: Path) -> None:
    args = parsed(str(source / "all.npz"), "--devices", "2", "--out", str(source / "all.npz"))
    with pytest.raises(StorageError):
        run(args)
