"""A finished model as one ONNX file, weights included: what a user deploys."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from onnx import ModelProto, numpy_helper
from torch import nn

from coordinator.compiling.capture import prepared
from coordinator.compiling.graph_inputs import GraphInputs
from coordinator.compiling.graphs import InferenceGraph
from coordinator.compiling.module_state import ModuleState


def export_model(model: nn.Module, inputs: Sequence[torch.Tensor]) -> bytes:
    """Returns `model` in evaluation mode as ONNX, for the batch size of the example inputs.

    Raises LoweringError and ModelError as `compile_segment` does.
    """
    state = ModuleState.of(prepared(model))
    graph = InferenceGraph(model, inputs, GraphInputs.of(state, inputs)).model()
    _bake(graph, state)
    serialised: bytes = graph.SerializeToString()
    return serialised


def _bake(model: ModelProto, state: ModuleState) -> None:
    """Turns the inputs that hold the state into constants."""
    weights = {**state.parameters, **state.buffers}
    fed = list(model.graph.input)
    del model.graph.input[:]
    for info in fed:
        if info.name in weights:
            array = weights[info.name].detach().numpy()
            model.graph.initializer.append(numpy_helper.from_array(array, info.name))
        else:
            model.graph.input.append(info)
