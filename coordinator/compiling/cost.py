"""What a segment costs a board: arithmetic and memory, told before it is sent."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence

import numpy as np
import onnx
import torch
from onnx import helper
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from coordinator.compiling.capture import capturing
from coordinator.compiling.emitter import Tensor


def flops_per_sample(module: nn.Module, inputs: Sequence[torch.Tensor]) -> int:
    """Counts the forward pass of one sample; a multiply-add is two operations."""
    with torch.no_grad(), capturing(), FlopCounterMode(display=False) as counter:
        copy.deepcopy(module).eval()(*inputs)
    return int(counter.get_total_flops()) // int(inputs[0].shape[0])


def memory_bytes(
    state: Iterable[Tensor], forward: onnx.ModelProto, backward: onnx.ModelProto
) -> int:
    """Returns the memory that one training step holds at its worst.

    Parameters and buffers, and the larger of two peaks: inputs, results and live temporaries of
    the forward graph; what was saved, gradients and live temporaries of the backward graph. A
    temporary lives from the node that makes it to the last that reads it. The code of
    onnxruntime and what its allocator keeps are not counted.
    """
    sizes = {t.name: _bytes(np.dtype(t.dtype).itemsize, t.shape) for t in state}
    held = set(sizes)
    return sum(sizes.values()) + max(_peak_bytes(forward, held), _peak_bytes(backward, held))


def _peak_bytes(model: onnx.ModelProto, held: set[str]) -> int:
    """The most that lives at any node, without what is in `held`."""
    sizes = _sizes(model)
    outputs = {tensor.name for tensor in model.graph.output}
    last_use = {name: i for i, node in enumerate(model.graph.node) for name in node.input}
    live = sum(sizes[tensor.name] for tensor in model.graph.input if tensor.name not in held)
    live += sum(sizes[tensor.name] for tensor in model.graph.initializer)
    made = {name for node in model.graph.node for name in node.output}
    peak = live
    for i, node in enumerate(model.graph.node):
        live += sum(sizes.get(name, 0) for name in node.output)
        peak = max(peak, live)
        dead = {name for name in (*node.input, *node.output) if last_use.get(name, -1) <= i}
        live -= sum(sizes.get(name, 0) for name in (dead & made) - outputs)
    return peak


def _sizes(model: onnx.ModelProto) -> dict[str, int]:
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    sizes = {
        constant.name: len(constant.raw_data) or 8 * math.prod(constant.dims)
        for constant in graph.initializer
    }
    for value in (*graph.input, *graph.output, *graph.value_info):
        tensor = value.type.tensor_type
        shape = [dim.dim_value for dim in tensor.shape.dim]
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        sizes[value.name] = _bytes(dtype.itemsize, shape)
    return sizes


def _bytes(item_bytes: int, shape: Iterable[int]) -> int:
    return item_bytes * math.prod(shape)
