"""The average of layer copies at the end of a round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
# Device id, samples trained in the round, and the state (parameters, buffers, slots) by key.
LayerCopy = tuple[str, int, Mapping[str, Array]]


def average(copies: Sequence[LayerCopy]) -> dict[str, Array]:
    """Averages every key over exactly the copies that hold it, weighted by samples.

    Floats are summed in float64 in sorted device order and cast back; integers and bools take the
    maximum. The order of `copies` does not matter, to the bit. One device may bring several
    copies (its own layers, and its replica's on the server) with different keys. Two float64
    arrays of one key are the most that is held besides the arguments and the result.

    Raises ValueError for a copy that trained nothing, for a key that a device brings twice, and
    for copies of a key that differ in type or shape.
    """
    for device, trained, _ in copies:
        if trained < 1:
            raise ValueError(f"the copy of {device} trained {trained} samples; leave it out")
    ordered = sorted(copies, key=lambda copy: copy[0])
    keys = sorted({key for _, _, state in ordered for key in state})
    return {key: _average_key(key, [copy for copy in ordered if key in copy[2]]) for key in keys}


def _average_key(key: str, holders: Sequence[LayerCopy]) -> Array:
    _check(key, holders)
    first = holders[0][2][key]
    if first.dtype.kind != "f":
        return _maximum([state[key] for _, _, state in holders])
    total = np.zeros(first.shape, np.float64)
    with np.errstate(invalid="ignore"):  # infinite copies of both signs: the average is NaN
        for _, trained, state in holders:
            total += np.multiply(state[key], float(trained), dtype=np.float64)
    total /= sum(trained for _, trained, _ in holders)
    return total.astype(first.dtype)


def _maximum(arrays: Sequence[Array]) -> Array:
    most = arrays[0].copy()
    for array in arrays[1:]:
        np.maximum(most, array, out=most)
    return most


def _check(key: str, holders: Sequence[LayerCopy]) -> None:
    devices = [device for device, _, _ in holders]
    if len(set(devices)) < len(devices):
        raise ValueError(f"{key} comes twice from one device: {', '.join(devices)}")
    forms = {f"{state[key].dtype}{state[key].shape}" for _, _, state in holders}
    if len(forms) > 1:
        raise ValueError(f"{key} comes in different forms: {', '.join(sorted(forms))}")
