"""The two modules that a cut leaves, with the model's own state_dict keys."""

from __future__ import annotations

import copy
import linecache
import operator
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.graph import PythonCode
from torch.fx.graph_module import _loader as fx_sources

from coordinator.cutting.cut_search import Place, storage_id
from coordinator.cutting.node_costs import BATCHES, NodeCosts
from coordinator.cutting.tracing import drop_dead


class Segment(fx.GraphModule):
    """One side of a cut: a graph over the model's own modules, with its keys alone.

    `copy.deepcopy` gives a segment with modules and tensors of its own, ties between them kept.
    All copies run one graph, which must not be changed any more. A copy is no part of a reference
    cycle, as all that fx makes is, so that its tensors go at once with the last word of it.
    """

    def __init__(self, model: nn.Module, graph: fx.Graph, state: Mapping[str, Tensor]) -> None:
        super().__init__(model, graph, "Segment")
        _complete(self, state)

    def recompile(self) -> PythonCode:
        """Compiles the graph, without its source: fx would keep that for ever."""
        compiled = super().recompile()
        source: str = type(self).forward.__code__.co_filename
        linecache.cache.pop(source, None)
        fx_sources.eval_cache.pop(source, None)
        return compiled

    def __deepcopy__(self, memo: dict[int, Any]) -> Segment:
        # Of our very class, which holds the compiled graph: fx would make one for each copy.
        copied: Segment = object.__new__(type(self))
        memo |= {id(self): copied, id(self._graph): self._graph}
        copied.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return copied


def build_device(model: nn.Module, graph: fx.Graph, place: Place) -> Segment:
    """The part up to the cut: the model's inputs in, one tensor out."""
    segment = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    device = set(place.device_nodes)
    for node in graph.nodes:
        if node in device or node.op == "placeholder":
            copies[node] = segment.node_copy(node, copies.__getitem__)
    segment.output(copies[place.node])
    return Segment(model, segment, _side(model, place, on_device=True))


def build_server(model: nn.Module, place: Place, costs: Mapping[fx.Node, NodeCosts]) -> Segment:
    """The part after the cut: one tensor in, the model's output out."""
    segment = fx.Graph()
    smashed = segment.placeholder("smashed")
    copies: dict[fx.Node, Any] = {place.node: smashed}
    for node in place.server_nodes:
        copies[node] = _server_copy(segment, node, copies, costs, smashed)
    drop_dead(segment)
    return Segment(model, segment, _side(model, place, on_device=False))


def _server_copy(
    segment: fx.Graph,
    node: fx.Node,
    copies: dict[fx.Node, Any],
    costs: Mapping[fx.Node, NodeCosts],
    smashed: fx.Node,
) -> Any:
    def operand(source: fx.Node) -> Any:
        if source not in copies:
            copies[source] = _size_from(smashed, segment, *costs[source].values)
        return copies[source]

    if node.op == "output":
        return segment.output(fx.map_arg(node.args[0], operand))
    arguments = fx.map_arg((node.args, node.kwargs), operand)
    copied = segment.create_node(node.op, node.target, *arguments, name=node.name)
    copied.meta = dict(node.meta)
    return copied


def _size_from(smashed: fx.Node, segment: fx.Graph, one: Any, other: Any) -> Any:
    """Rebuilds a size, which took these values in the two runs, from the tensor that crosses."""
    if isinstance(one, tuple):
        return tuple(_size_from(smashed, segment, *pair) for pair in zip(one, other, strict=True))
    if isinstance(one, torch.device):
        return segment.call_function(getattr, (smashed, "device"))
    if one == other:
        return one
    batch = segment.call_method("size", (smashed, 0))
    return segment.call_function(operator.mul, (batch, one // BATCHES[0]))


def _side(model: nn.Module, place: Place, *, on_device: bool) -> dict[str, Tensor]:
    """The model's state of one side by key; what no node uses stays on the server."""
    held = {storage_id(t) for t in [*place.device_parameters, *place.device_buffers]}
    state: dict[str, Tensor] = model.state_dict(keep_vars=True)
    return {k: t for k, t in state.items() if (storage_id(t) in held) == on_device}


def _complete(segment: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Makes `state` the segment's state_dict; fx loses what no node names, and persistence."""
    for key, buffer in list(segment.named_buffers()):
        if key not in state:
            _hang(segment, key, buffer, persistent=False)
    present = segment.state_dict(keep_vars=True)
    for key, tensor in state.items():
        if key not in present:
            _hang(segment, key, tensor, persistent=True)


def _hang(module: nn.Module, key: str, tensor: Tensor, *, persistent: bool) -> None:
    path, _, name = key.rpartition(".")
    for part in path.split(".") if path else ():
        if not hasattr(module, part):
            module.add_module(part, nn.Module())
        module = module.get_submodule(part)
    if isinstance(tensor, nn.Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor, persistent=persistent)
