"""The wire form of a tensor: a type name, a shape and little-endian bytes in C order."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from attrs import field
from numpy.typing import NDArray

from runtime.errors import WireError
from runtime.value import value

Array = NDArray[Any]

# The types that may travel, by wire name. Nothing else is ever decoded.
DTYPES: Mapping[str, np.dtype[Any]] = {
    "bool": np.dtype("?"),
    "u8": np.dtype("u1"),
    "i8": np.dtype("i1"),
    "u16": np.dtype("<u2"),
    "i16": np.dtype("<i2"),
    "i32": np.dtype("<i4"),
    "i64": np.dtype("<i8"),
    "f16": np.dtype("<f2"),
    "f32": np.dtype("<f4"),
    "f64": np.dtype("<f8"),
}
_ITEM_BYTES = {name: dtype.itemsize for name, dtype in DTYPES.items()}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_LABEL_DTYPES = tuple(np.dtype(name) for name in ("u1", "i1", "u2", "i2", "i4", "i8"))

_LISTS = (list, tuple)
_SIZES = frozenset({int})
_MOST_DIMENSIONS = 8
# Also bounds empty tensors such as (0, 2**62, 2**62), whose strides numpy cannot hold.
_MOST_ELEMENTS = 2**40


@lru_cache(maxsize=2048, typed=True)
def _bytes_of(dtype: object, *shape: Any) -> int:
    """Returns how many bytes such a tensor has: few kinds come, again and again.

    Remembered by type as well, since to a cache True is 1.
    """
    if type(dtype) is not str or dtype not in _ITEM_BYTES:
        raise WireError(f"tensor type {_shown(dtype)} is none of {', '.join(DTYPES)}")
    if len(shape) > _MOST_DIMENSIONS:
        raise WireError(f"tensor shape has more than {_MOST_DIMENSIONS} sizes")
    are_sizes = _SIZES.issuperset(map(type, shape))
    if shape and not (are_sizes and min(shape) >= 0 and max(shape) <= _MOST_ELEMENTS):
        raise WireError(f"tensor shape {_shown(shape)} holds something that is not a size")
    elements: int = prod(shape)
    if (elements or prod([size or 1 for size in shape])) > _MOST_ELEMENTS:
        raise WireError(f"tensor shape {_shown(shape)} has more than {_MOST_ELEMENTS} elements")
    return _ITEM_BYTES[dtype] * elements


@value
class PackedTensor:
    """A tensor as it travels. An instance is valid: bad fields raise WireError.

    `shape` has at most 8 dimensions and 2**40 elements; `data` has exactly the bytes of `shape`.
    """

    dtype: str
    shape: tuple[int, ...]
    data: bytes = field(repr=lambda data: f"<{len(data)} bytes>")

    def __attrs_post_init__(self) -> None:
        # Not validators of the fields: these take twice as long, and four tensors come a step.
        dtype, shape, data = self.dtype, self.shape, self.data
        if type(shape) is not tuple:
            raise WireError(f"tensor shape is {type(shape).__name__}, not a tuple")
        try:
            expected_bytes = _bytes_of(dtype, *shape)
        except TypeError:
            # A list among them, say: what no cache can hold is no size either.
            wrong = f"tensor type {_shown(dtype)} or shape {_shown(shape)}"
            raise WireError(f"{wrong} is made of other things than a name and sizes") from None
        if type(data) is not bytes:
            raise WireError(f"tensor data is {type(data).__name__}, not bytes")
        if len(data) != expected_bytes:
            raise WireError(
                f"tensor {dtype}{list(shape)} needs {expected_bytes} bytes of data, not {len(data)}"
            )
        # A bool that is neither 0 nor 1 is undefined behaviour in numpy and onnxruntime.
        if dtype == "bool" and data.strip(b"\0\1"):
            raise WireError("tensor of type bool holds bytes other than 0 and 1")


def pack(array: Array) -> PackedTensor:
    """Copies an array of any layout into its wire form.

    Raises ValueError for a type that does not travel.
    """
    wire_dtype = array.dtype.newbyteorder("<")
    if wire_dtype not in _NAMES:
        raise ValueError(f"arrays of {array.dtype} do not travel; use one of {', '.join(DTYPES)}")
    data = array.astype(wire_dtype, copy=False).tobytes()
    return PackedTensor(_NAMES[wire_dtype], array.shape, data)


def unpack(packed: PackedTensor) -> Array:
    """Returns a read-only view of the packed bytes; nothing is copied."""
    return np.ndarray(packed.shape, DTYPES[packed.dtype], buffer=packed.data)


def pack_all(arrays: Mapping[str, Array]) -> dict[str, PackedTensor]:
    """Packs every array under its own name."""
    return {name: pack(array) for name, array in arrays.items()}


def unpack_all(packed: Mapping[str, PackedTensor]) -> dict[str, Array]:
    """Unpacks every tensor under its own name, as read-only views."""
    return {name: unpack(tensor) for name, tensor in packed.items()}


def to_wire(packed: PackedTensor) -> list[object]:
    """Returns `[dtype, shape, data]`, made of what msgpack knows."""
    return [packed.dtype, packed.shape, packed.data]


def from_wire(value: object, _: object = None) -> PackedTensor:
    """Reads `[dtype, shape, data]` back. Raises WireError, and nothing else, for anything else."""
    if not isinstance(value, _LISTS) or len(value) != 3:
        raise WireError("a tensor must be a list [dtype, shape, data]")
    dtype, shape, data = value
    if not isinstance(shape, _LISTS):
        raise WireError(f"tensor shape is {type(shape).__name__}, not a list")
    return PackedTensor(dtype, tuple(shape), data)


def all_from_wire(value: object, _: object = None) -> dict[str, PackedTensor]:
    """Reads a map of tensors by name. Raises WireError for anything else."""
    if not isinstance(value, dict):
        raise WireError(f"{type(value).__name__} where tensors by name belong")
    tensors = {}
    for name, tensor in value.items():
        if type(name) is not str:
            raise WireError(f"{type(name).__name__} where the name of a tensor belongs")
        tensors[name] = from_wire(tensor)
    return tensors


def narrow_labels(array: Array) -> Array:
    """Casts integers to the smallest of u8, i8, u16, i16, i32, i64 that holds all the values.

    Other types (regression targets, masks) come back as they are. Raises ValueError for integers
    beyond int64.
    """
    if array.dtype.kind not in "iu":
        return array
    least, most = (int(array.min()), int(array.max())) if array.size else (0, 0)
    for dtype in _LABEL_DTYPES:
        bounds = np.iinfo(dtype)
        if bounds.min <= least and most <= bounds.max:
            return array.astype(dtype, copy=False)
    raise ValueError(f"label {most} does not fit into 64 bits with a sign")


def _shown(value: object) -> str:
    """Returns a short text of a hostile value: it may be long, or nested without end."""
    if isinstance(value, str):
        return repr(value[:20])
    if isinstance(value, tuple) and all(type(size) is int for size in value):
        return str([size if abs(size) < 2**64 else "huge" for size in value])
    return f"of type {type(value).__name__}"
