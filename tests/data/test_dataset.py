from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from runtime.dataset import Dataset, InputType
from runtime.errors import DataError

PICKS = np.array([2, 0, 2])


def dataset(inputs: npt.NDArray[Any], labels: list[int] | None = None) -> Dataset:
    numbers = np.arange(len(inputs)) if labels is None else np.array(labels)
    return Dataset("some.npz", inputs, numbers, "float32")


def test_bytes_become_floats_in_the_batch_alone() -> None:
    data = dataset(np.array([[0, 255], [1, 2], [51, 102]], np.uint8))
    inputs, labels = data.batch(PICKS)
    assert [str(one.dtype) for one in (inputs, labels, data.inputs)] == [
        "float32",
        "int64",
        "uint8",
    ]
    np.testing.assert_allclose(inputs, [[0.2, 0.4], [0.0, 1.0], [0.2, 0.4]], rtol=1e-7)
    np.testing.assert_array_equal(labels, PICKS)


def test_a_batch_is_a_copy() -> None:
    data = dataset(np.zeros((3, 2), np.float32))
    inputs, labels = data.batch(np.arange(3))
    inputs += 1
    labels += 1
    assert not data.inputs.any()
    assert data.labels[0] == 0


@pytest.mark.parametrize("stored", [np.uint8, np.int32, np.int64])
def test_tokens_are_not_scaled(stored: type[np.integer[Any]]) -> None:
    data = dataset(np.array([[7, 200], [1, 2], [3, 4]], stored)).fit((2,), "int64", 3)
    inputs, _ = data.batch(PICKS)
    assert inputs.dtype == np.int64
    np.testing.assert_array_equal(inputs[1], [7, 200])


def test_doubles_become_floats() -> None:
    data = dataset(np.ones((3, 2))).fit((2,), "float32", 3)
    assert data.batch(PICKS)[0].dtype == np.float32


def test_a_grey_image_gets_its_channel_axis() -> None:
    data = dataset(np.zeros((3, 28, 28), np.float32)).fit((1, 28, 28), "float32", 3)
    assert data.batch(PICKS)[0].shape == (3, 1, 28, 28)


@pytest.mark.parametrize(
    ("inputs", "shape", "dtype", "hint"),
    [
        (np.zeros((3, 8, 8, 3), np.uint8), (3, 8, 8), "float32", "store channels first"),
        (np.zeros((3, 8), np.uint8), (9,), "float32", r"shape \[8\], the model takes \[9\]"),
        (np.zeros((3, 8), np.int64), (8,), "float32", "inputs are int64"),
        (np.zeros((3, 8), np.float32), (8,), "int64", "inputs are float32"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(
    inputs: npt.NDArray[Any], shape: tuple[int, ...], dtype: InputType, hint: str
) -> None:
    with pytest.raises(DataError, match=hint) as caught:
        dataset(inputs).fit(shape, dtype, 3)
    assert str(caught.value).startswith("some.npz: ")


@pytest.mark.parametrize("labels", [[0, 1, 3], [-1, 0, 1]])
def test_labels_outside_the_classes_are_refused(labels: list[int]) -> None:
    data = dataset(np.zeros((3, 2), np.float32), labels)
    with pytest.raises(DataError, match="classes 0 to 2"):
        data.fit((2,), "float32", 3)


def test_every_mismatch_is_named() -> None:
    data = dataset(np.zeros((3, 2), np.float32), [0, 1, 9])
    with pytest.raises(DataError) as caught:
        data.fit((4,), "int64", 3)
    for word in ("shape", "int64", "labels"):
        assert word in str(caught.value)
