"""How a float32 tensor becomes the parts that travel, and back.

Every codec is a row of one table. A part is named by a suffix to the tensor's name:

    fp32  ""                            the array itself
    fp16  ""                            rounded to half precision
    int8  ".q" ".scale" ".zero"         value = (q - zero) * scale, per channel or for all
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from runtime.errors import WireError
from runtime.randomness import words

Floats = NDArray[np.float32]
Parts = dict[str, NDArray[Any]]
Layout = dict[str, tuple[type[np.generic], tuple[int, ...]]]

# Below this many values a channel's scale and zero point weigh more than they gain.
_LEAST_VALUES_PER_CHANNEL = 256
# Within these, no difference, scale or decoded value leaves float32.
_LARGEST_VALUE = np.finfo(np.float32).max / 4
_LEAST_SCALE = np.finfo(np.float32).tiny
_LARGEST_SCALE = np.finfo(np.float32).max / 256
_LARGEST_HALF = np.finfo(np.float16).max
# Values per pass: what a pass touches stays in the cache of a small board.
_BLOCK_VALUES = 2**15


@frozen
class Codec:
    """One row of the table.

    `layout(shape)` names the parts of a tensor with their types and shapes.
    """

    layout: Callable[[tuple[int, ...]], Layout]
    encode: Callable[[Floats, np.random.Generator | None], Parts]
    decode: Callable[[Parts, tuple[int, ...]], Floats]


def channel_axis(shape: Sequence[int]) -> int | None:
    """Returns the axis along which int8 keeps a scale per entry, or None for one scale in all.

    Axis 1 where each of its entries has at least 256 values over the whole tensor.
    """
    if len(shape) < 2 or shape[1] == 0:
        return None
    return 1 if math.prod(shape) // shape[1] >= _LEAST_VALUES_PER_CHANNEL else None


def encode(codec: str, array: Floats, *, noise: np.random.Generator | None) -> Parts:
    """Turns a float32 array into its parts.

    Without `noise` values are rounded half to even; with it int8 rounds up or down at random, so
    that the expectation of the decoded value is the value (to 2**-16 of the scale). The part of
    fp32 is `array` itself, not a copy.

    fp16 saturates at 65504, infinities included, and keeps NaN. int8 raises FloatingPointError
    for NaN, infinities and magnitudes above 8.5e37, which mean that training has diverged.
    """
    if array.dtype != np.float32:
        raise TypeError(f"codecs take float32 arrays, not {array.dtype}")
    return _row(codec).encode(array, noise)


def decode(codec: str, parts: Mapping[str, NDArray[Any]], shape: Sequence[int]) -> Floats:
    """Turns parts from the wire back into a float32 array of `shape`.

    Raises WireError for parts that are not exactly what `codec` makes of `shape`. The result of
    fp32 is the part itself, which may be read-only.
    """
    if codec not in CODECS:
        raise WireError(f"codec {codec!r} is unknown; known are {', '.join(CODECS)}")
    row = CODECS[codec]
    expected = row.layout(tuple(shape))
    found = {suffix: (part.dtype.type, part.shape) for suffix, part in parts.items()}
    if found != expected:
        raise WireError(f"{codec} parts are {_shown(found)}, expected {_shown(expected)}")
    return row.decode(dict(parts), tuple(shape))


@lru_cache(1024)
def encoded_bytes(codec: str, shape: tuple[int, ...]) -> int:
    """Predicts the bytes of all the parts of a tensor, without names and message headers."""
    layout = _row(codec).layout(shape)
    return sum(np.dtype(kind).itemsize * math.prod(part) for kind, part in layout.values())


def _row(codec: str) -> Codec:
    if codec not in CODECS:
        raise ValueError(f"codec {codec!r} is unknown; use one of {', '.join(CODECS)}")
    return CODECS[codec]


def _shown(layout: Layout) -> str:
    return ", ".join(f"{name!r} {kind.__name__}{shape}" for name, (kind, shape) in layout.items())


def _layout_fp32(shape: tuple[int, ...]) -> Layout:
    return {"": (np.float32, shape)}


def _encode_fp32(array: Floats, _: np.random.Generator | None) -> Parts:
    return {"": array}


def _decode_fp32(parts: Parts, _: tuple[int, ...]) -> Floats:
    return parts[""]


def _layout_fp16(shape: tuple[int, ...]) -> Layout:
    return {"": (np.float16, shape)}


def _encode_fp16(array: Floats, _: np.random.Generator | None) -> Parts:
    return {"": np.clip(array, -_LARGEST_HALF, _LARGEST_HALF).astype(np.float16)}


def _decode_fp16(parts: Parts, _: tuple[int, ...]) -> Floats:
    return parts[""].astype(np.float32)


def _layout_int8(shape: tuple[int, ...]) -> Layout:
    scales = (_channels(shape),)
    return {".q": (np.uint8, shape), ".scale": (np.float32, scales), ".zero": (np.uint8, scales)}


def _encode_int8(array: Floats, noise: np.random.Generator | None) -> Parts:
    values = array.reshape(_rows_by_channels(array.shape))
    scale, zero = _scales(values, stochastic=noise is not None)
    q = np.empty(values.shape, np.uint8)
    for rows, scratch in _blocks(values.shape):
        np.divide(values[rows], scale[:, None], out=scratch)
        if noise is None:
            np.rint(scratch, out=scratch)
        else:
            scratch += words(noise, scratch.size).reshape(scratch.shape) * np.float32(2**-16)
            np.floor(scratch, out=scratch)
        scratch += zero[:, None]
        q[rows] = np.clip(scratch, 0, 255, out=scratch)
    return {".q": q.reshape(array.shape), ".scale": scale, ".zero": zero.astype(np.uint8)}


def _decode_int8(parts: Parts, shape: tuple[int, ...]) -> Floats:
    scale = parts[".scale"]
    if not np.all((scale > 0) & (scale <= _LARGEST_SCALE)):
        raise WireError("an int8 scale is not a positive number that float32 can decode with")
    values = parts[".q"].reshape(_rows_by_channels(shape)).astype(np.float32)
    values -= parts[".zero"][:, None]
    values *= scale[:, None]
    return values.reshape(shape)


def _scales(values: Floats, *, stochastic: bool) -> tuple[Floats, Floats]:
    """Returns scale and zero point [C] of values [rows, C, inner], such that 0 is exact.

    Random rounding reaches the integers on both sides of both ends of the range, and they must
    fit too: clipping there would bias the mean. That takes one of the 255 steps.
    """
    least = np.minimum(values.min(axis=(0, 2), initial=0), 0)
    most = np.maximum(values.max(axis=(0, 2), initial=0), 0)
    if not (np.all(least >= -_LARGEST_VALUE) and np.all(most <= _LARGEST_VALUE)):
        raise FloatingPointError("the tensor holds NaN, infinite or huge values: training diverged")
    steps, snap = (254, np.ceil) if stochastic else (255, np.rint)
    scale = np.maximum((most - least) / np.float32(steps), _LEAST_SCALE)
    return scale, snap(-least / scale)


def _channels(shape: tuple[int, ...]) -> int:
    axis = channel_axis(shape)
    return 1 if axis is None else shape[axis]


def _rows_by_channels(shape: tuple[int, ...]) -> tuple[int, int, int]:
    if channel_axis(shape) is None:
        return (1, 1, math.prod(shape))
    return (shape[0], shape[1], math.prod(shape[2:]))


def _blocks(shape: tuple[int, ...]) -> Iterator[tuple[slice, Floats]]:
    """Yields slices of rows, each with a scratch array of its shape."""
    rows, *inner = shape
    rows_per_block = max(1, _BLOCK_VALUES // max(1, math.prod(inner)))
    scratch = np.empty((min(rows, rows_per_block), *inner), np.float32)
    for start in range(0, rows, rows_per_block):
        block = slice(start, min(start + rows_per_block, rows))
        yield block, scratch[: block.stop - block.start]


CODECS: Mapping[str, Codec] = {
    "fp32": Codec(_layout_fp32, _encode_fp32, _decode_fp32),
    "fp16": Codec(_layout_fp16, _encode_fp16, _decode_fp16),
    "int8": Codec(_layout_int8, _encode_int8, _decode_int8),
}
