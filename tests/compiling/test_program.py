"""A program is one sequence of bytes, and no other bytes are a program."""

from __future__ import annotations

import hashlib
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import ProgramError
from runtime.program import (
    GradientOutput,
    Manifest,
    MaskSpec,
    SavedTensor,
    SegmentProgram,
    TensorSpec,
    decode,
)

SMALL = SegmentProgram(
    Manifest(
        cut="layer1",
        batch=2,
        codec="fp32",
        inputs=(TensorSpec("%input0", "float32", (2, 3)),),
        parameters=(TensorSpec("weight", "float32", (4, 3)),),
        ties=(),
        buffers=(),
        buffer_updates=(),
        masks=(MaskSpec("drop", (2, 4), 0.5),),
        smashed=TensorSpec("smashed", "float32", (2, 4)),
        smashed_parts=(TensorSpec("smashed", "float32", (2, 4)),),
        saved=(SavedTensor("%input0", "input"),),
        cut_gradient="%cut-gradient",
        gradients=(GradientOutput("weight", "%b1"),),
        prediction="%1",
        flops_per_sample=24,
        memory_bytes=200,
        kernel_forms="fast-1",
    ),
    forward=b"forward",
    backward=b"backward",
    inference=b"inference",
)
BYTES = SMALL.encode()


def test_bytes_come_back_as_the_same_program(program: SegmentProgram) -> None:
    for original in (SMALL, program):
        assert decode(original.encode()) == original
        assert original.digest == hashlib.sha256(original.encode()).hexdigest()


@given(st.binary(max_size=200))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ProgramError):
        decode(data)


@given(st.integers(0, len(BYTES) - 1), st.integers(1, 255))
@settings(max_examples=400)
def test_a_changed_byte_is_refused_or_is_another_program(place: int, flip: int) -> None:
    changed = bytearray(BYTES)
    changed[place] ^= flip
    try:
        found = decode(bytes(changed))
    except ProgramError:
        return
    assert found.encode() == bytes(changed)
    assert found.digest != SMALL.digest


@given(st.integers(0, len(BYTES) - 1))
def test_truncated_bytes_are_refused(length: int) -> None:
    with pytest.raises(ProgramError):
        decode(BYTES[:length])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("version", 2),
        ("opset", 21),
        ("batch", 0),
        ("batch", True),
        ("codec", "int4"),
        ("cut", 7),
        ("inputs", "x"),
        ("inputs", [{"name": "x", "dtype": "complex64", "shape": [1]}]),
        ("inputs", [{"name": "x", "dtype": "float32", "shape": [0]}]),
        ("inputs", [{"name": "x", "dtype": "float32", "shape": [-1]}]),
        ("masks", [{"name": "x", "shape": [1], "drop": 1.0}]),
        ("masks", [{"name": "x", "shape": [1], "drop": float("nan")}]),
        ("saved", [{"name": "x", "source": "disk"}]),
        ("smashed_parts", []),
        ("memory_bytes", -1),
        ("unknown", 1),
    ],
)
def test_a_manifest_that_says_nonsense_is_refused(key: str, value: Any) -> None:
    raw = msgpack.unpackb(BYTES)
    raw["manifest"][key] = value
    with pytest.raises(ProgramError):
        decode(msgpack.packb(raw))


def test_a_missing_key_is_refused() -> None:
    for key in msgpack.unpackb(BYTES)["manifest"]:
        raw = msgpack.unpackb(BYTES)
        del raw["manifest"][key]
        with pytest.raises(ProgramError):
            decode(msgpack.packb(raw))
