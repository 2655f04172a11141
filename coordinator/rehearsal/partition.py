"""Deals one data set out to several devices, evenly or skewed by class."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from coordinator.fleet import LEAST_ALPHA, Data, Fleet, PartitionKind
from runtime.dataset import Dataset, absolute_source, open_source
from runtime.errors import DataError, StorageError
from runtime.exits import Exit
from runtime.ids import DeviceId, is_legal_id
from runtime.shard import write_shard

Labels = npt.NDArray[np.integer[Any]]
Indices = npt.NDArray[np.int64]


def partition(
    labels: Labels,
    devices: int,
    kind: PartitionKind = "iid",
    alpha: float | None = None,
    seed: int = 0,
    minimum_samples: int = 1,
) -> list[Indices]:
    """Returns the sample numbers of each device, ascending; every sample is dealt exactly once.

    `labels` is [n]. `dirichlet` draws each class's division among the devices from a symmetric
    Dirichlet distribution of concentration `alpha` (Hsu et al. 2019, arXiv:1909.06335, with the
    roles of class and device exchanged); devices below `minimum_samples` are then topped up
    from the richest. Raises DataError if there are too few samples.
    """
    if len(labels) < devices * minimum_samples:
        raise DataError(
            f"{len(labels)} samples cannot give {devices} devices {minimum_samples} each; "
            "use fewer devices, a lower minimum or more data"
        )
    random = np.random.default_rng([seed, devices])
    if kind == "iid":
        parts = np.array_split(random.permutation(len(labels)), devices)
    else:
        parts = _by_class(labels, devices, 1.0 if alpha is None else alpha, random)
    return [np.sort(part) for part in _topped_up(parts, minimum_samples, random)]


def _by_class(
    labels: Labels, devices: int, alpha: float, random: np.random.Generator
) -> list[Indices]:
    hands: list[list[Indices]] = [[] for _ in range(devices)]
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        shares = random.dirichlet(np.full(devices, alpha))
        borders = np.rint(np.cumsum(shares)[:-1] * len(members)).astype(np.int64)
        for hand, piece in zip(hands, np.split(members, borders), strict=True):
            hand.append(piece)
    return [np.concatenate(hand) for hand in hands]


def _topped_up(
    parts: Sequence[Indices], minimum: int, random: np.random.Generator
) -> Sequence[Indices]:
    """Moves random samples from the richest device to the poorest until none is too poor."""
    parts = list(parts)
    while len(min(parts, key=len)) < minimum:
        sizes = [len(part) for part in parts]
        poor, rich = int(np.argmin(sizes)), int(np.argmax(sizes))
        count = min(minimum - sizes[poor], sizes[rich] - minimum)
        shuffled = random.permutation(parts[rich])
        parts[poor] = np.concatenate([parts[poor], shuffled[:count]])
        parts[rich] = shuffled[count:]
    return parts


def write_shards(
    source: Dataset, out_dir: Path, ids: Sequence[str], parts: Sequence[Indices]
) -> list[Path]:
    """Writes one `<id>.npz` for each device into `out_dir` and returns the paths.

    Raises StorageError.
    """
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{out_dir}: cannot be made: {error.strerror}") from error
    paths = [out_dir / f"{one}.npz" for one in ids]
    for path, part in zip(paths, parts, strict=True):
        write_shard(path, source.inputs[part], source.labels[part])
    return paths


def deal(fleet: Fleet, out_dir: Path) -> Mapping[DeviceId, str]:
    """Returns an absolute data source for each device of a rehearsal.

    A device keeps the `data` of its own; [data] is dealt out to the others as shards in
    `out_dir`. Raises DataError when there is neither, StorageError as `write_shards`.
    """
    sources = {
        DeviceId(one.id): absolute_source(one.data, fleet.base) for one in fleet.devices if one.data
    }
    others = [one for one in fleet.ids if one not in sources]
    if not others:
        return sources
    if fleet.data is None:
        raise DataError(
            f"fleet {fleet.name}: no data for {', '.join(others)}; add [data] source or `data`"
        )
    paths = _deal_to(others, fleet.data, fleet.base, out_dir)
    return sources | {one: str(path.resolve()) for one, path in zip(others, paths, strict=True)}


def _deal_to(ids: Sequence[DeviceId], data: Data, base: Path, out_dir: Path) -> list[Path]:
    source = open_source(data.source, base)
    parts = partition(
        _class_labels(source),
        len(ids),
        data.partition,
        data.alpha,
        data.seed,
        data.minimum_samples,
    )
    return write_shards(source, out_dir, ids, parts)


def _class_labels(source: Dataset) -> Labels:
    """Returns the labels if each sample has one class."""
    if source.labels.ndim != 1:
        raise DataError(f"{source.source}: more than one label a sample; partition it yourself")
    return source.labels


def class_table(labels: Labels, ids: Sequence[str], parts: Sequence[Indices]) -> str:
    """Returns the number of samples of each class on each device, as aligned text."""
    classes = np.unique(labels)
    rows = [["device", "samples", *(f"class {one}" for one in classes)]]
    for one, part in zip(ids, parts, strict=True):
        counts = [int(np.count_nonzero(labels[part] == label)) for label in classes]
        rows.append([one, str(len(part)), *map(str, counts)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `edgesplit data partition`."""
    parser.add_argument("source", help="shard.npz, idx:images,labels or file.py:function")
    parser.add_argument(
        "--devices", type=_ids, required=True, metavar="N|ID,ID", help="how many, or their ids"
    )
    parser.add_argument(
        "--alpha", type=_alpha, help="skew the classes (Dirichlet); without it: evenly"
    )
    parser.add_argument("--seed", type=_from(0), default=0)
    parser.add_argument("--minimum-samples", type=_from(1), default=1, metavar="N")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")


def run(args: argparse.Namespace) -> int:
    """Partitions the source, writes the shards and prints who got what."""
    source = open_source(args.source, Path())
    labels = _class_labels(source)
    kind: PartitionKind = "iid" if args.alpha is None else "dirichlet"
    parts = partition(labels, len(args.devices), kind, args.alpha, args.seed, args.minimum_samples)
    write_shards(source, args.out, args.devices, parts)
    print(class_table(labels, args.devices, parts))
    return Exit.OK


def _ids(text: str) -> list[str]:
    ids = text.split(",")
    if text.isdecimal():
        ids = [f"device-{number}" for number in range(1, int(text) + 1)]
    if not ids or not all(map(is_legal_id, ids)) or len(set(ids)) < len(ids):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor distinct ids")
    return ids


def _alpha(text: str) -> float:
    value = float(text)
    if not LEAST_ALPHA <= value < math.inf:
        raise argparse.ArgumentTypeError(f"write a number from {LEAST_ALPHA}")
    return value


def _from(bound: int) -> Callable[[str], int]:
    def whole(text: str) -> int:
        if not text.isdecimal() or int(text) < bound:
            raise argparse.ArgumentTypeError(f"write a whole number from {bound}")
        return int(text)

    return whole
