"""From a module to a segment program."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from coordinator.compiling.capture import capture
from coordinator.compiling.cost import flops_per_sample, memory_bytes
from coordinator.compiling.families.weight_gradient import KERNEL_FORMS
from coordinator.compiling.graph_inputs import GraphInputs
from coordinator.compiling.graphs import (
    CUT_GRADIENT,
    BackwardGraph,
    ForwardGraph,
    InferenceGraph,
)
from runtime.program import Codec, Manifest, SavedTensor, SegmentProgram


def compile_segment(
    module: nn.Module, example_inputs: Sequence[torch.Tensor], *, cut: str, codec: Codec
) -> SegmentProgram:
    """Compiles the device part of a model for the batch size of `example_inputs`.

    The keys of the module's `state_dict` name the parameters and buffers of the program. The
    module is not changed. The same module gives the same bytes.

    Raises:
        LoweringError: for an operator that has no ONNX lowering.
        ModelError: when the module cannot be traced, or does not yield one float32 tensor with
            a gradient.
    """
    captured = capture(module, example_inputs)
    feeds = GraphInputs.of(captured.state, example_inputs, captured.masks)
    forward = ForwardGraph(captured, feeds, codec)
    backward = BackwardGraph(captured, feeds, forward)
    inference = InferenceGraph(module, example_inputs, feeds)
    training = (forward.model(backward.saved), backward.model())
    manifest = Manifest(
        cut=cut,
        batch=int(example_inputs[0].shape[0]),
        codec=codec,
        inputs=tuple(tensor.spec() for tensor in feeds.inputs),
        parameters=tuple(tensor.spec() for tensor in feeds.parameters),
        ties=captured.state.ties,
        buffers=tuple(tensor.spec() for tensor in feeds.buffers),
        buffer_updates=forward.updates,
        masks=captured.masks,
        smashed=forward.smashed.spec(),
        smashed_parts=tuple(part.spec() for part in forward.parts),
        saved=tuple(SavedTensor(t.name, feeds.source(t)) for t in backward.saved),
        cut_gradient=CUT_GRADIENT,
        gradients=backward.gradients,
        prediction=inference.output.name,
        flops_per_sample=flops_per_sample(module, example_inputs),
        memory_bytes=memory_bytes(feeds.state, *training),
        kernel_forms=KERNEL_FORMS,
    )
    graphs = (*training, inference.model())
    return SegmentProgram(manifest, *(graph.SerializeToString() for graph in graphs))
