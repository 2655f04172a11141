"""The wire form of tensors: exact, without copies, and deaf to hostile input."""

from __future__ import annotations

from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from runtime.errors import WireError
from runtime.tensors import (
    DTYPES,
    Array,
    PackedTensor,
    from_wire,
    narrow_labels,
    pack,
    pack_all,
    to_wire,
    unpack,
    unpack_all,
)

ANY_ARRAY = st.sampled_from(list(DTYPES.values())).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=5, min_side=0))
)
ANY_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ANY_SIZE = st.integers(-2, 5) | st.sampled_from([2**31, 2**62, 2**64, 2**4000, True, 1.0, None])
NEAR_TENSOR = st.tuples(
    st.sampled_from([*DTYPES, "f128", "F32", "<f4", "object", ""]) | ANY_VALUE,
    st.lists(ANY_SIZE, max_size=10) | ANY_VALUE,
    st.integers(0, 64).map(bytes) | st.binary(max_size=9) | ANY_VALUE,
).map(list)


@settings(deadline=None)
@given(array=ANY_ARRAY)
def test_a_tensor_survives_the_wire_to_the_bit(array: Array) -> None:
    received = msgpack.unpackb(msgpack.packb(to_wire(pack(array))))
    arrived = unpack(from_wire(received))

    assert arrived.dtype == array.dtype
    assert arrived.shape == array.shape
    assert arrived.tobytes() == array.tobytes()


@pytest.mark.parametrize("view", [np.s_[:, ::2], np.s_[::-1], np.s_[1:3, 1]], ids=str)
def test_strided_views_are_packed_in_c_order(view: Any) -> None:
    array = np.arange(24, dtype=np.int32).reshape(4, 6)[view]

    assert np.array_equal(unpack(pack(array)), array)


def test_bytes_are_little_endian_whatever_the_array() -> None:
    packed = pack(np.array([1, 2], ">i4"))

    assert packed == PackedTensor("i32", (2,), b"\1\0\0\0\2\0\0\0")


def test_fortran_order_is_packed_in_c_order() -> None:
    array = np.asfortranarray(np.arange(6, dtype=np.uint8).reshape(2, 3))

    assert pack(array).data == bytes(range(6))


def test_unpacking_copies_nothing_and_cannot_be_written() -> None:
    packed = pack(np.zeros((3, 4), np.float32))
    array = unpack(packed)

    assert array.flags.writeable is False
    assert np.shares_memory(array, np.frombuffer(packed.data, np.float32))


def test_mappings_keep_their_names() -> None:
    arrays: dict[str, Array] = {"smashed.q": np.zeros((2, 3), np.uint8), "labels": np.arange(2)}
    arrived = unpack_all(pack_all(arrays))

    assert list(arrived) == list(arrays)
    assert all(np.array_equal(arrived[name], arrays[name]) for name in arrays)


@pytest.mark.parametrize("dtype", ["u4", "u8", "c8", "O", "U3", "M8[s]"])
def test_other_types_do_not_travel(dtype: str) -> None:
    with pytest.raises(ValueError, match="do not travel"):
        pack(np.zeros(2, dtype))


@settings(deadline=None, max_examples=400)
@given(value=NEAR_TENSOR | ANY_VALUE)
def test_hostile_input_is_a_wire_error_or_a_whole_tensor(value: object) -> None:
    try:
        packed = from_wire(value)
    except WireError as refusal:
        assert len(str(refusal)) < 400
    else:
        assert unpack(packed).nbytes == len(packed.data)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["f32", [2, 2], bytes(15)], "needs 16 bytes of data, not 15"),
        (["f32", [2, 2], bytes(17)], "needs 16 bytes of data, not 17"),
        (["f32", [2**62, 4], b""], "not a size"),
        (["f32", [2**32, 2**32], b""], "more than"),
        (["f32", [0, 2**40, 2**40], b""], "more than"),
        (["f32", [-1, -4], bytes(16)], "not a size"),
        (["f32", [True], bytes(4)], "not a size"),
        (["f32", [1.0], bytes(4)], "not a size"),
        (["f32", [[1]], bytes(4)], "other things than a name and sizes"),
        (["f32", [1] * 9, bytes(4)], "more than 8 sizes"),
        (["f32", "\4", bytes(16)], "shape is str"),
        (["f32", [1], "abcd"], "data is str, not bytes"),
        (["O", [1], bytes(8)], "tensor type 'O'"),
        ([["f32"], [1], bytes(4)], "tensor type of type list"),
        (["bool", [3], b"\0\1\2"], "other than 0 and 1"),
        (["f32", [1]], "list"),
        ({"dtype": "f32"}, "list"),
    ],
)
def test_a_refusal_names_the_fault(value: object, message: str) -> None:
    from_wire(["f32", [1], bytes(4)])  # What equals a tensor that came before is refused as well.
    with pytest.raises(WireError, match=message):
        from_wire(value)


def test_an_instance_cannot_be_invalid() -> None:
    with pytest.raises(WireError, match="needs 8 bytes"):
        PackedTensor("f64", (1,), b"")


def test_the_text_of_a_tensor_leaves_its_data_out() -> None:
    assert "<4000 bytes>" in repr(pack(np.zeros(1000, np.float32)))


@given(labels=hnp.arrays(np.int64, st.integers(0, 9)))
def test_narrowed_labels_keep_their_values(labels: Array) -> None:
    narrow = narrow_labels(labels)

    assert np.array_equal(narrow, labels)
    assert pack(narrow).dtype in ("u8", "i8", "u16", "i16", "i32", "i64")


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([], "u8"),
        ([0, 255], "u8"),
        ([0, 256], "u16"),
        ([-1, 127], "i8"),
        ([-100, 255], "i16"),
        ([0, 65536], "i32"),
        ([-1, 2**31], "i64"),
    ],
)
def test_labels_take_the_smallest_type(values: list[int], dtype: str) -> None:
    assert pack(narrow_labels(np.array(values, np.int64))).dtype == dtype


@pytest.mark.parametrize("dtype", ["f4", "f8", "?"])
def test_other_labels_are_left_alone(dtype: str) -> None:
    labels = np.ones(3, dtype)

    assert narrow_labels(labels) is labels


def test_labels_beyond_64_bits_with_a_sign_are_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        narrow_labels(np.array([2**63], np.uint64))
