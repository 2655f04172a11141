"""Training and evaluation data, held as compactly as it was stored and converted per batch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen

from runtime.entry_point import in_one_line, load_function
from runtime.errors import DataError
from runtime.idx import read_idx
from runtime.shard import read_shard

Array = npt.NDArray[Any]
InputType = Literal["float32", "int64"]
Augmentation = Literal["flip", "shift", "noise"]
"""The names of what `device_agent.augmentation` can do to a batch of images."""


@frozen(eq=False)
class Dataset:
    """Samples and their labels.

    `inputs` is [n, ...] of uint8 (pixels or tokens), floats or integers; `labels` is [n] or, for
    token models, [n, positions], of integers; `dtype` is what the model takes.
    """

    source: str
    inputs: Array
    labels: Array
    dtype: InputType

    def __len__(self) -> int:
        return len(self.inputs)

    def batch(self, indices: npt.NDArray[np.integer[Any]]) -> tuple[Array, Array]:
        """Returns inputs as `dtype` and labels as int64; uint8 becomes float32 within [0, 1].

        The conversion is done here, for one batch, because a board has memory for the bytes
        but not for four times as many.
        """
        inputs, labels = self.inputs[indices], self.labels[indices].astype(np.int64)
        if self.dtype == "float32" and inputs.dtype == np.uint8:
            return np.divide(inputs, np.float32(255.0), dtype=np.float32), labels
        return inputs.astype(self.dtype), labels

    def fit(self, shape: tuple[int, ...], dtype: InputType, classes: int) -> Dataset:
        """Returns this data set as the model takes it: samples of `shape` and `dtype`.

        Adds the channel axis that a grey image lacks. Raises DataError, naming every
        mismatch and its fix.
        """
        inputs = self.inputs
        if shape == (1, *inputs.shape[1:]):
            inputs = inputs[:, np.newaxis]
        fitted = evolve(self, inputs=inputs, dtype=dtype)
        mismatches = list(fitted._mismatches(shape, classes))
        if mismatches:
            raise DataError(f"{self.source}: {'; '.join(mismatches)}")
        return fitted

    def _mismatches(self, shape: tuple[int, ...], classes: int) -> Iterator[str]:
        found = self.inputs.shape[1:]
        if found != shape:
            last = len(found) == 3 and (found[2], *found[:2]) == shape
            fix = "store channels first" if last else "correct [input] shape or the data"
            yield f"samples have shape {list(found)}, the model takes {list(shape)}: {fix}"
        kind = self.inputs.dtype
        if kind != np.uint8 and kind.kind != ("f" if self.dtype == "float32" else "i"):
            yield f"inputs are {kind}, the model takes {self.dtype}: convert them or use uint8"
        low, high = int(self.labels.min()), int(self.labels.max())
        if low < 0 or high >= classes:
            yield (
                f"labels go from {low} to {high}, the model has classes 0 to {classes - 1}: "
                "correct [input] classes or the labels"
            )


def open_source(spec: str, base: Path) -> Dataset:
    """Reads a data source; relative paths start at the folder `base`.

    `spec` is `shard.npz` (arrays x and y), `idx:images,labels` (plain or .gz),
    `package.module:function` or `file.py:function` (which returns x and y).
    Raises DataError naming the source and the fix.
    """
    inputs, labels = _arrays(spec, base)
    for problem in _malformed(inputs, labels):
        raise DataError(f"{spec}: {problem}")
    grey_images = inputs.ndim == 3 and inputs.dtype == np.uint8
    return Dataset(
        spec,
        inputs[:, np.newaxis] if grey_images else inputs,
        labels,
        "float32" if inputs.dtype == np.uint8 or inputs.dtype.kind == "f" else "int64",
    )


def absolute_source(spec: str, base: Path) -> str:
    """Returns the data source with its relative paths, which start at `base`, made absolute."""
    if spec.startswith("idx:"):
        images, _, labels = spec.removeprefix("idx:").partition(",")
        return f"idx:{(base / images).resolve()},{(base / labels).resolve()}"
    place, colon, name = spec.partition(":")
    if place.endswith((".npz", ".py")):
        return f"{(base / place).resolve()}{colon}{name}"
    return spec


def _arrays(spec: str, base: Path) -> tuple[Array, Array]:
    if spec.startswith("idx:"):
        images, comma, labels = spec.removeprefix("idx:").partition(",")
        if not comma:
            raise DataError(f"{spec}: names one file; write 'idx:images,labels'")
        return read_idx(base / images), read_idx(base / labels)
    if spec.endswith(".npz"):
        return read_shard(base / spec)
    return _call(spec, base)


def _call(spec: str, base: Path) -> tuple[Array, Array]:
    function = load_function(spec, base, DataError)
    try:
        inputs, labels = function()
        return np.asarray(inputs), np.asarray(labels)
    except Exception as error:  # the user's code may raise anything at all
        raise DataError(f"{spec}: did not return (x, y): {in_one_line(error)}") from error


def _malformed(inputs: Array, labels: Array) -> Iterator[str]:
    if inputs.ndim < 2:
        yield "x has no axis per sample; store x as [samples, ...]"
    elif inputs.dtype.kind not in "fiu" or (inputs.dtype.kind == "u" and inputs.dtype != np.uint8):
        yield f"x is {inputs.dtype}; store it as uint8, float32 or int64"
    if labels.dtype.kind not in "iu" or labels.ndim not in (1, 2):
        yield f"y is {labels.dtype} of {labels.ndim} axes; store whole class numbers, one axis"
    elif len(inputs) != len(labels):
        yield f"{len(inputs)} samples have {len(labels)} labels; store as many of both"
    elif len(labels) == 0:
        yield "there are no samples; give at least one"
