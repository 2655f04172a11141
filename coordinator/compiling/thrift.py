"""Keeps less between forward and backward than autograd asks for."""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

_CLAMPS = {torch.ops.aten.hardtanh_backward.default: torch.ops.aten.hardtanh.default}


def save_outputs_of_clamps(forward: GraphModule, backward: GraphModule, first_saved: int) -> None:
    """Lets the backward pass of a clamp (ReLU6) read its result instead of its input.

    The gate is open strictly between the limits, where result and input are equal; and the
    result is kept anyway wherever a convolution follows. `first_saved` is the place of the first
    saved tensor among the outputs of `forward`.
    """
    saved = _outputs(forward)[first_saved:]
    feeds = [node for node in backward.graph.nodes if node.op == "placeholder"]
    places = {node: place for place, node in enumerate(saved) if isinstance(node, Node)}
    for gate in backward.graph.nodes:
        clamp = _CLAMPS.get(gate.target)
        if clamp is None or gate.args[1] not in feeds:
            continue
        before = saved[feeds.index(gate.args[1])]
        for after in before.users if isinstance(before, Node) else ():
            if after.target is clamp and after.args[1:] == gate.args[2:] and after in places:
                gate.update_arg(1, feeds[places[after]])
    backward.recompile()


def _outputs(graph: GraphModule) -> list[object]:
    (returned,) = [node for node in graph.graph.nodes if node.op == "output"]
    return list(returned.args[0])
