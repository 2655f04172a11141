"""Walks an FX graph and emits the ONNX nodes of each of its operators."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

from coordinator.compiling.emitter import DTYPES, Emitter, Result, Tensor
from coordinator.compiling.families import LOWERINGS
from runtime.errors import LoweringError

Value = Tensor | tuple[Tensor | None, ...] | None


def translate(emitter: Emitter, graph: fx.Graph, inputs: Sequence[Tensor]) -> list[Value]:
    """Emits `graph` with its placeholders bound to `inputs`; returns what its outputs became.

    An output that is an input or another output in disguise gets that one's name.

    Raises:
        LoweringError: for the first operator that has no lowering.
    """
    return _Translation(emitter, inputs).run(graph)


class _Translation:
    def __init__(self, emitter: Emitter, inputs: Sequence[Tensor]) -> None:
        self._emitter = emitter
        self._inputs = iter(inputs)
        self._values: dict[fx.Node, Value] = {}
        self._folded: dict[fx.Node, Any] = {}

    def run(self, graph: fx.Graph) -> list[Value]:
        for node in graph.nodes:
            if node.op == "placeholder":
                self._values[node] = next(self._inputs)
            elif node.op == "call_function":
                self._call(node)
            elif node.op == "get_attr":
                self._folded[node] = _attribute(node)
            elif node.op == "output":
                return [self._value(argument) for argument in node.args[0]]
        raise AssertionError("an FX graph ends in its output")

    def _call(self, node: fx.Node) -> None:
        if all(source in self._folded for source in node.all_input_nodes):
            arguments = fx.map_arg((node.args, node.kwargs), self._folded.__getitem__)
            self._folded[node] = node.target(*arguments[0], **arguments[1])  # type: ignore[operator]
        elif node.target is operator.getitem:
            parts, index = node.args
            self._values[node] = self._values[parts][index]  # type: ignore[index]
        else:
            self._values[node] = self._lower(node)

    def _lower(self, node: fx.Node) -> Value:
        lowering = LOWERINGS.get(str(node.target))
        if lowering is None:
            raise LoweringError(str(node.target))
        described = _described(node.meta["val"])
        arguments = [self._argument(argument) for argument in _bound(node)]
        return _named(lowering(self._emitter, described, *arguments), described)

    def _argument(self, argument: Any) -> Any:
        if isinstance(argument, fx.Node):
            return self._value(argument)
        if isinstance(argument, (list, tuple)):
            return [self._argument(item) for item in argument]
        return argument

    def _value(self, node: fx.Node | None) -> Value:
        if node is None:
            return None
        if node in self._folded:
            constant = self._folded[node].contiguous()
            name = self._emitter.constant(constant.numpy())
            return Tensor(name, tuple(constant.shape), DTYPES[constant.dtype])
        return self._values[node]


def _attribute(node: fx.Node) -> torch.Tensor:
    owner: Any = node.graph.owning_module
    for part in str(node.target).split("."):
        owner = getattr(owner, part)
    if not isinstance(owner, torch.Tensor):
        raise LoweringError("get_attr", str(node.target))
    return owner.detach()


def _bound(node: fx.Node) -> list[Any]:
    """The arguments of a call in the order of the operator's schema, defaults filled in."""
    bound = list(node.args)
    for argument in node.target._schema.arguments[len(bound) :]:  # type: ignore[union-attr]
        bound.append(node.kwargs.get(argument.name, argument.default_value))
    return bound


def _described(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(_described(item) for item in value)
    if isinstance(value, torch.Tensor):
        if value.dtype not in DTYPES:
            raise LoweringError(str(value.dtype), "no such type on a board")
        return Tensor("", tuple(int(size) for size in value.shape), DTYPES[value.dtype])
    return None


def _named(result: Result, described: Any) -> Value:
    if isinstance(result, str):
        return Tensor(result, described.shape, described.dtype)
    return tuple(
        None if name is None or about is None else Tensor(name, about.shape, about.dtype)
        for name, about in zip(result, described, strict=True)
    )
