"""Compares a compiled segment with torch: the same saved tensors in, the same gradients out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from attrs import frozen
from numpy.typing import NDArray
from torch import Tensor, nn

from coordinator.compiling.capture import Captured, capture, capturing, prepared
from coordinator.compiling.graph_inputs import GraphInputs
from coordinator.compiling.graphs import ForwardGraph
from coordinator.cutting.dropout import bind_masks
from device_agent.segment import Segment
from runtime.program import MaskSpec, SegmentProgram

Array = NDArray[Any]
Arrays = dict[str, Array]


def arrays(tensors: Mapping[str, Tensor]) -> Arrays:
    return {name: tensor.detach().numpy() for name, tensor in tensors.items()}


def keep_masks(specs: Sequence[MaskSpec], seed: int = 0) -> Arrays:
    generator = np.random.default_rng(seed)
    return {spec.name: generator.random(spec.shape) >= spec.drop for spec in specs}


def loaded(program: SegmentProgram, module: nn.Module) -> Segment:
    segment = Segment(program)
    segment.load_state(arrays(module.state_dict()))
    return segment


@frozen
class TorchStep:
    """One training step in torch: output, gradients and buffers after it."""

    output: Array
    gradients: Arrays
    buffers: Arrays


def torch_step(module: nn.Module, x: Tensor, masks: Arrays, cut_gradient: Tensor) -> TorchStep:
    module = prepared(module).train()
    bind_masks(module, {name: torch.from_numpy(mask) for name, mask in masks.items()})
    output = module(x)
    output.backward(cut_gradient)
    gradients = {k: p.grad.numpy() for k, p in module.named_parameters() if p.grad is not None}
    return TorchStep(output.detach().numpy(), gradients, arrays(dict(module.named_buffers())))


@frozen
class Backwards:
    """The gradients of both backward graphs, given what the captured forward graph saved."""

    torch: Arrays
    onnx: Arrays


def backwards(program: SegmentProgram, module: nn.Module, x: Tensor, dy: Tensor) -> Backwards:
    captured = capture(module, [x])
    masks = [torch.from_numpy(m) for m in keep_masks(captured.masks).values()]
    handed = _handed(captured, x, masks)
    keys = captured.state.parameters
    by_key = zip(keys, captured.backward(*handed, dy)[: len(keys)], strict=True)
    return Backwards(
        torch=arrays({key: value for key, value in by_key if value is not None}),
        onnx=_run_backward(program, captured, x, handed, dy),
    )


def _handed(captured: Captured, x: Tensor, masks: list[Tensor]) -> list[Tensor]:
    state = captured.state.all.values()
    with torch.no_grad(), capturing():
        made = captured.forward(*(t.detach().clone() for t in state), x, *masks)
    return list(made[captured.result_count :])


def _run_backward(
    program: SegmentProgram, captured: Captured, x: Tensor, handed: list[Tensor], dy: Tensor
) -> Arrays:
    # Compilation is deterministic, so that these names are those of the program.
    feeds = GraphInputs.of(captured.state, [x], captured.masks)
    graph = ForwardGraph(captured, feeds, program.manifest.codec)
    named = zip((tensor.name for tensor in graph.handed), handed, strict=True)
    values = {name: tensor.numpy() for name, tensor in named}
    values.update(_whole_indices(captured, graph, handed))
    values[program.manifest.cut_gradient] = dy.numpy()
    session = ort.InferenceSession(program.backward, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_outputs()]
    made = session.run(names, {node.name: values[node.name] for node in session.get_inputs()})
    found = dict(zip(names, made, strict=True))
    return {g.key: found[g.output] for g in program.manifest.gradients}


def _whole_indices(captured: Captured, graph: ForwardGraph, handed: list[Tensor]) -> Arrays:
    """Torch's pool indices count within a plane, ONNX's through the whole tensor."""
    output: Any = next(node for node in captured.forward.graph.nodes if node.op == "output")
    saved = output.args[0][captured.result_count :]
    indices: Arrays = {}
    for node, tensor, value in zip(saved, graph.handed, handed, strict=True):
        pool: Any = node.args[0] if node.args else None
        if "max_pool" in str(getattr(pool, "target", "")) and node.args[1] == 1:
            batch, channels, *size = pool.args[0].meta["val"].shape
            planes = np.arange(batch * channels).reshape(batch, channels, 1, 1)
            indices[tensor.name] = value.numpy() + planes * math.prod(size)
    return indices


def worst_relative_error(found: Arrays, expected: Arrays) -> float:
    """The largest error of any element, relative to the largest of its own tensor.

    That is floored at a hundredth of the largest of all: some gradients are zero by analysis.
    """
    assert found.keys() == expected.keys()
    largest = {name: float(np.abs(array).max()) for name, array in expected.items()}
    floor = 0.01 * max(largest.values())
    return max(
        float(np.abs(found[name] - array).max()) / max(largest[name], floor)
        for name, array in expected.items()
    )


def worst_relative_norm(found: Arrays, expected: Arrays) -> float:
    """The largest relative L2 error of any tensor, floored in the same way."""
    assert found.keys() == expected.keys()
    norms = {name: float(np.linalg.norm(array)) for name, array in expected.items()}
    floor = 0.01 * max(norms.values())
    return max(
        float(np.linalg.norm(found[name] - array)) / max(norms[name], floor)
        for name, array in expected.items()
    )
