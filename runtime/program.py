"""A segment program: what a board needs to train the front of a model, as data.

Three ONNX graphs (forward, backward, inference) and a manifest that says how to feed them.
Tensor names are the same in the manifest and in the graphs: parameters and buffers by their
`state_dict` key, everything else under a name that begins with `%` or is a wire part.
A program is named by the SHA-256 of its bytes, and equal programs have equal bytes.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any, Literal

from attrs import Attribute, field, frozen, validators

from runtime import wire
from runtime.errors import ProgramError, WireError

FORMAT_VERSION = 1
OPSET = 20
IR_VERSION = 9
WHOLE_MODEL = "whole-model"
"""The cut behind the last layer: the device trains the whole model, loss included."""
DTYPES = ("float32", "float16", "float64", "int64", "int32", "uint8", "bool")

Codec = Literal["fp32", "fp16", "int8"]
Source = Literal["output", "parameter", "buffer", "input", "mask"]

_name: Any = validators.min_len(1)


def _shape(_: Any, attribute: Attribute[tuple[int, ...]], value: tuple[int, ...]) -> None:
    if any(size < 1 for size in value):
        raise ValueError(f"{attribute.name} {value} holds nothing")


def _exactly(expected: int) -> Any:
    return validators.in_((expected,))


@frozen
class TensorSpec:
    """A named tensor; the dtype is numpy's name for it."""

    name: str = field(validator=_name)
    dtype: str = field(validator=validators.in_(DTYPES))
    shape: tuple[int, ...] = field(validator=_shape)


@frozen
class MaskSpec:
    """A bool input that is True where dropout keeps: each element with probability 1 - drop.

    The name is the path of the dropout layer, as `features.3`; on a second call `features.3@1`.
    """

    name: str = field(validator=_name)
    shape: tuple[int, ...] = field(validator=_shape)
    drop: float = field(validator=validators.and_(validators.ge(0.0), validators.lt(1.0)))


@frozen
class Tie:
    """A second key of a parameter: the tensor under `key` is the one under `of`."""

    key: str
    of: str


@frozen
class BufferUpdate:
    """A buffer that training changes, and the forward output that holds its new value."""

    key: str
    output: str


@frozen
class SavedTensor:
    """An input of the backward graph, and what holds it: a forward output or a forward input."""

    name: str
    source: Source = field(
        validator=validators.in_(("output", "parameter", "buffer", "input", "mask"))
    )


@frozen
class GradientOutput:
    """A parameter that learns, and the backward output that holds its gradient."""

    key: str
    output: str


@frozen
class Manifest:
    """How to feed the graphs of a program, and what they cost.

    `smashed` is the float32 tensor at the cut; `smashed_parts` are the forward outputs that
    travel in its place. `flops_per_sample` counts the forward pass, a multiply-add as two.
    `memory_bytes` is parameters + buffers + gradients + what the backward pass is handed + the
    larger of the two graphs' peaks of live temporaries.

    A program of the whole model has the labels as its second input, and its mean loss, without
    dimensions, stands where others have the tensor at the cut.
    """

    cut: str
    batch: int = field(validator=validators.ge(1))
    codec: Codec = field(validator=validators.in_(("fp32", "fp16", "int8")))
    inputs: tuple[TensorSpec, ...]
    parameters: tuple[TensorSpec, ...]
    ties: tuple[Tie, ...]
    buffers: tuple[TensorSpec, ...]
    buffer_updates: tuple[BufferUpdate, ...]
    masks: tuple[MaskSpec, ...]
    smashed: TensorSpec
    smashed_parts: tuple[TensorSpec, ...] = field(validator=validators.min_len(1))
    saved: tuple[SavedTensor, ...]
    cut_gradient: str
    gradients: tuple[GradientOutput, ...]
    prediction: str
    """The output of the inference graph: the tensor at the cut in eval mode, float32."""
    flops_per_sample: int = field(validator=validators.ge(0))
    memory_bytes: int = field(validator=validators.ge(0))
    kernel_forms: str
    """Names the set of rules by which the compiler chose among equivalent kernels."""
    version: int = field(default=FORMAT_VERSION, validator=_exactly(FORMAT_VERSION))
    opset: int = field(default=OPSET, validator=_exactly(OPSET))
    ir_version: int = field(default=IR_VERSION, validator=_exactly(IR_VERSION))

    @property
    def is_whole_model(self) -> bool:
        """Tells whether the program trains without a server."""
        return self.cut == WHOLE_MODEL


@frozen
class SegmentProgram:
    """The device part of a model up to one cut, for one batch size and one codec.

    The graphs are serialised ONNX models that take their weights as inputs.
    """

    manifest: Manifest
    forward: bytes
    backward: bytes
    inference: bytes

    def encode(self) -> bytes:
        """Returns the canonical bytes of the program."""
        return wire.encode(self)

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the encoded program, in hexadecimal."""
        return hashlib.sha256(self.encode()).hexdigest()


def decode(data: bytes) -> SegmentProgram:
    """Returns the program that `encode` wrote.

    Raises:
        ProgramError: for bytes that `encode` of this version did not write.
    """
    try:
        program = wire.decode(SegmentProgram, data).value
    except WireError as error:
        raise ProgramError(f"not a segment program: {error}") from error
    if program.encode() != data:
        raise ProgramError("not a segment program: the bytes are not canonical")
    return program
