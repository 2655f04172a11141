"""The two modules that a cut leaves, with the model's own state_dict keys."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from coordinator.cut_search import Place, crosses_as_size, storage_id
from coordinator.node_costs import BATCHES, NodeCosts

SAMPLE_SHAPE = "sample_shape"
"""Key of `Node.meta` in a segment's graph: shape without the batch, or None."""


def build_device(
    model: nn.Module, graph: fx.Graph, place: Place, costs: Mapping[fx.Node, NodeCosts]
) -> fx.GraphModule:
    """The part up to the cut: the model's inputs in, one tensor out."""
    segment = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    device = set(place.device_nodes)
    for node in graph.nodes:
        if node in device or node.op == "placeholder":
            copies[node] = segment.node_copy(node, copies.__getitem__)
            copies[node].meta[SAMPLE_SHAPE] = costs[node].shape
    segment.output(copies[place.node])
    return _module(model, segment, place, on_device=True)


def build_server(
    model: nn.Module, graph: fx.Graph, place: Place, costs: Mapping[fx.Node, NodeCosts]
) -> fx.GraphModule:
    """The part after the cut: one tensor in, the model's output out."""
    segment = fx.Graph()
    smashed = segment.placeholder("smashed")
    smashed.meta[SAMPLE_SHAPE] = costs[place.node].shape
    copies: dict[fx.Node, Any] = {place.node: smashed}
    device = set(place.device_nodes)
    for node in graph.nodes:
        if node in device or node.op == "placeholder":
            continue
        if not crosses_as_size(costs[node]):
            copies[node] = _server_copy(segment, node, copies, costs, smashed)
    return _module(model, segment, place, on_device=False)


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
    copy = segment.create_node(node.op, node.target, *arguments, name=node.name)
    copy.meta = {**node.meta, SAMPLE_SHAPE: costs[node].shape}
    return copy


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


def _module(
    model: nn.Module, segment: fx.Graph, place: Place, *, on_device: bool
) -> fx.GraphModule:
    """A module of the graph that holds the model's own modules, and exactly its side's keys."""
    module = fx.GraphModule(model, segment, "DeviceSegment" if on_device else "ServerSegment")
    persistent = model.state_dict(keep_vars=True)
    for key, tensor in list(module.named_buffers()):
        if key not in persistent:
            _hang(module, key, tensor, persistent=False)
    held = {storage_id(t) for t in [*place.device_parameters, *place.device_buffers]}
    present = module.state_dict(keep_vars=True)
    for key, tensor in persistent.items():
        # Second names of tied tensors; and what no node uses stays on the server.
        if key not in present and (storage_id(tensor) in held) == on_device:
            _hang(module, key, tensor, persistent=True)
    return module


def _hang(module: nn.Module, key: str, tensor: Tensor, *, persistent: bool) -> None:
    path, _, name = key.rpartition(".")
    for part in path.split(".") if path else ():
        if not hasattr(module, part):
            module.add_module(part, nn.Module())
        module = module.get_submodule(part)
    if isinstance(tensor, nn.Parameter):
        module.register_parameter(name, tensor)
    elif not isinstance(module, fx.GraphModule) and name in module._buffers and not persistent:
        return  # a leaf of the model's own, whose buffers are as the model wants them
    else:
        module.register_buffer(name, tensor, persistent=persistent)
