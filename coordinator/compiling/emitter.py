"""Collects ONNX nodes under construction: names, constants, and no node twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from attrs import frozen
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from runtime.program import IR_VERSION, OPSET, TensorSpec

_WITH_OPTIONAL_OUTPUTS = ("MaxPool", "LayerNormalization")

Result = str | tuple[str | None, ...]

DTYPES = {
    torch.float32: "float32",
    torch.float16: "float16",
    torch.float64: "float64",
    torch.int64: "int64",
    torch.int32: "int32",
    torch.uint8: "uint8",
    torch.bool: "bool",
}


@frozen
class Tensor:
    """A tensor in the graph: its name there, its static shape and its numpy dtype."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def rank(self) -> int:
        return len(self.shape)

    def spec(self) -> TensorSpec:
        return TensorSpec(self.name, self.dtype, self.shape)


Operand = Tensor | str


class Emitter:
    """Emits nodes one by one; equal nodes and equal constants are emitted once.

    Names are counted, so that the same sequence of calls gives the same graph.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, NDArray[Any]] = {}
        self._names: dict[Any, tuple[str, ...]] = {}
        self._producers: dict[str, onnx.NodeProto] = {}
        self._count = 0

    def op(self, kind: str, *inputs: Operand | None, **attributes: Any) -> str:
        """Emits a node of the standard operator `kind` and returns the name of its output."""
        return self.ops(kind, 1, *inputs, **attributes)[0]

    def ops(
        self, kind: str, outputs: int, *inputs: Operand | None, **attributes: Any
    ) -> tuple[str, ...]:
        """Emits a node with several outputs and returns their names; an input may be absent."""
        sources = tuple(_name(operand) for operand in inputs)
        key = (kind, outputs, sources, repr(sorted(attributes.items())))
        if key not in self._names:
            names = tuple(self._fresh() for _ in range(outputs))
            node = helper.make_node(kind, sources, names, **attributes)
            self._nodes.append(node)
            self._producers.update(dict.fromkeys(names, node))
            self._names[key] = names
        return self._names[key]

    def copy(self, operand: Operand) -> str:
        """Emits a copy that is a tensor of its own, also where there is one already."""
        name = self._fresh()
        node = helper.make_node("Identity", [_name(operand)], [name])
        self._nodes.append(node)
        self._producers[name] = node
        return name

    def constant(self, array: NDArray[Any]) -> str:
        """Returns the name of a constant with this value."""
        key = ("constant", array.dtype.str, array.shape, array.tobytes())
        if key not in self._names:
            self._names[key] = (self._fresh(),)
            self._constants[self._names[key][0]] = array.copy()
        return self._names[key][0]

    def ints(self, values: Iterable[int]) -> str:
        """Returns a constant vector of int64, as shapes and axes are given."""
        return self.constant(np.array(list(values), np.int64))

    def scalar(self, value: float, dtype: str = "float32") -> str:
        """Returns a constant without dimensions."""
        return self.constant(np.array(value, dtype))

    def cast(self, operand: Tensor, dtype: str) -> str:
        """Returns `operand` as `dtype`, itself where it is that already."""
        if operand.dtype == dtype:
            return operand.name
        return self.op("Cast", operand, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def reshape(self, operand: Operand, shape: Sequence[int]) -> str:
        """Returns `operand` with a new static shape."""
        if isinstance(operand, Tensor) and operand.shape == tuple(shape):
            return operand.name
        return self.op("Reshape", operand, self.ints(shape))

    def transpose(self, operand: Operand, order: Sequence[int]) -> str:
        """Returns `operand` with its axes in a new order."""
        if list(order) == list(range(len(order))):
            return _name(operand)
        return self.op("Transpose", operand, perm=list(order))

    def slice(
        self,
        operand: Operand,
        axes: Sequence[int],
        starts: Sequence[int],
        ends: Sequence[int],
        steps: Sequence[int],
    ) -> str:
        """Returns a strided slice of `operand` along `axes`."""
        bounds = (self.ints(starts), self.ints(ends), self.ints(axes), self.ints(steps))
        return self.op("Slice", operand, *bounds)

    def reduce(self, kind: str, operand: Operand, axes: Sequence[int], *, keep: bool) -> str:
        """Returns the reduction of `operand` over `axes` by the operator `kind`."""
        return self.op(kind, operand, self.ints(axes), keepdims=int(keep))

    def swapped(self, operand: Operand) -> str | None:
        """Returns the matrix that `operand` is the plain transpose of, if it is one."""
        node = self._producers.get(_name(operand))
        if node is None or node.op_type != "Transpose":
            return None
        order = list(node.attribute[0].ints)
        return str(node.input[0]) if order == [1, 0] else None

    def is_node_output(self, name: str) -> bool:
        """Tells whether a node makes this tensor; an input or a constant is not made."""
        return name in self._producers

    def constant_value(self, name: str) -> NDArray[Any] | None:
        """Returns the value of a constant, None for anything else."""
        return self._constants.get(name)

    def rename(self, old: str, new: str) -> None:
        """Gives an output of a node another name, wherever it is used."""
        for node in self._nodes:
            node.input[:] = [new if name == old else name for name in node.input]
            node.output[:] = [new if name == old else name for name in node.output]
        self._producers[new] = self._producers.pop(old)

    def used_inputs(self, outputs: Sequence[str], inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Returns those of `inputs` that `outputs` depend on."""
        nodes = self._needed(outputs)
        used = {name for node in nodes for name in node.input} | set(outputs)
        return tuple(tensor for tensor in inputs if tensor.name in used)

    def model(
        self, name: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor]
    ) -> onnx.ModelProto:
        """Returns the graph from `inputs` to `outputs`, without anything they do not need."""
        nodes = self._needed([tensor.name for tensor in outputs])
        used = {source for node in nodes for source in node.input}
        constants = [
            numpy_helper.from_array(array, constant)
            for constant, array in self._constants.items()
            if constant in used
        ]
        feeds = [_info(tensor) for tensor in inputs if tensor.name in used]
        graph = helper.make_graph(nodes, name, feeds, [_info(t) for t in outputs], constants)
        return helper.make_model(
            graph,
            producer_name="edgesplit",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )

    def _needed(self, outputs: Sequence[str]) -> list[onnx.NodeProto]:
        wanted = set(outputs)
        kept: list[onnx.NodeProto] = []
        for node in reversed(self._nodes):
            if wanted.intersection(node.output):
                wanted.update(node.input)
                kept.append(_without_unwanted(node, wanted))
        return kept[::-1]

    def _fresh(self) -> str:
        self._count += 1
        return f"{self._prefix}{self._count}"


def _without_unwanted(node: onnx.NodeProto, wanted: set[str]) -> onnx.NodeProto:
    """Drops optional outputs that nobody reads: a pool is far cheaper without its indices."""
    kept = onnx.NodeProto()
    kept.CopyFrom(node)
    while node.op_type in _WITH_OPTIONAL_OUTPUTS and kept.output[-1] not in wanted:
        del kept.output[-1]
    return kept


def _name(operand: Operand | None) -> str:
    if operand is None:
        return ""
    return operand if isinstance(operand, str) else operand.name


def _info(tensor: Tensor) -> onnx.ValueInfoProto:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
    return helper.make_tensor_value_info(tensor.name, kind, tensor.shape)
