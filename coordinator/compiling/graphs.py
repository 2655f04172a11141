"""The three graphs of a program: forward, backward and inference."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
import torch
from torch import nn

from coordinator.compiling.capture import Captured, capture_inference
from coordinator.compiling.emitter import Emitter, Tensor
from coordinator.compiling.graph_inputs import GraphInputs
from coordinator.compiling.quantisation import append_codec, part_names
from coordinator.compiling.translation import Value, translate
from runtime.errors import ModelError
from runtime.program import BufferUpdate, Codec, GradientOutput

CUT_GRADIENT = "%cut-gradient"


class ForwardGraph:
    """Wire parts, new buffers, and what the backward pass asks for.

    `handed` are the tensors that the captured forward graph hands to the backward one, in order;
    most of them are never asked for.
    """

    def __init__(self, captured: Captured, feeds: GraphInputs, codec: Codec) -> None:
        self.emitter = Emitter("%")
        self._feeds = feeds
        placeholders = feeds.placeholders(self.emitter)
        values = translate(self.emitter, captured.forward.graph, placeholders)
        count = captured.result_count
        held = placeholders[len(feeds.parameters) : len(feeds.parameters) + count - 1]
        output = _made(self.emitter, _tensor(values[0]))
        parts = append_codec(self.emitter, output, codec)
        names = dict(zip((part.name for part in parts), part_names(codec), strict=True))
        for old, new in names.items():
            self.emitter.rename(old, new)
        self.smashed = Tensor("smashed", output.shape, output.dtype)
        self.parts = tuple(_renamed(part, names) for part in parts)
        self._moved = {
            buffer: _made(self.emitter, _renamed(_tensor(new), names))
            for buffer, new in zip(held, values[1:count], strict=True)
            if _tensor(new).name != buffer.name
        }
        if not self._moved.keys() <= set(feeds.buffers):
            raise ModelError("training changes a buffer that is not in the state_dict")
        self.handed = tuple(self._steady(_renamed(_tensor(v), names)) for v in values[count:])

    @property
    def updates(self) -> tuple[BufferUpdate, ...]:
        return tuple(BufferUpdate(old.name, new.name) for old, new in self._moved.items())

    def model(self, saved: Sequence[Tensor]) -> onnx.ModelProto:
        """Returns the graph that makes, beside its results, those of `saved` that are made."""
        made = [tensor for tensor in saved if self._feeds.source(tensor) == "output"]
        outputs = dict.fromkeys((*self.parts, *self._moved.values(), *made))
        return self.emitter.model("forward", self._feeds.fed, list(outputs))

    def _steady(self, tensor: Tensor) -> Tensor:
        """A buffer that this pass moves is handed over as it was before."""
        return _copied(self.emitter, tensor) if tensor in self._moved else tensor


class BackwardGraph:
    """From the gradient at the cut, and what was saved, to the gradients of the parameters."""

    def __init__(self, captured: Captured, feeds: GraphInputs, forward: ForwardGraph) -> None:
        self._g = Emitter("%b")
        handed = [_imported(self._g, forward.emitter, tensor) for tensor in forward.handed]
        tangent = Tensor(CUT_GRADIENT, forward.smashed.shape, "float32")
        values = translate(self._g, captured.backward.graph, [*handed, tangent])
        found: dict[Tensor, str] = {}
        for key, value in zip(feeds.parameters, values[: len(feeds.parameters)], strict=True):
            if value is not None:
                gradient = _tensor(value)
                fresh = gradient not in found and self._g.is_node_output(gradient.name)
                found[gradient if fresh else _copied(self._g, gradient)] = key.name
        self._outputs = tuple(found)
        self.gradients = tuple(GradientOutput(key, t.name) for t, key in found.items())
        graph_inputs = [t for t in handed if self._g.constant_value(t.name) is None]
        names = [tensor.name for tensor in found]
        self.saved = self._g.used_inputs(names, list(dict.fromkeys(graph_inputs)))
        self._inputs = (*self.saved, tangent)

    def model(self) -> onnx.ModelProto:
        return self._g.model("backward", self._inputs, self._outputs)


class InferenceGraph:
    """Evaluation mode: parameters, buffers and inputs to the tensor at the cut."""

    def __init__(
        self, module: nn.Module, inputs: Sequence[torch.Tensor], feeds: GraphInputs
    ) -> None:
        self._g = Emitter("%")
        self._feeds = feeds
        graph = capture_inference(module, inputs).graph
        placeholders = feeds.inference_placeholders(self._g)
        self.output = _made(self._g, _tensor(translate(self._g, graph, placeholders)[0]))

    def model(self) -> onnx.ModelProto:
        return self._g.model("inference", self._feeds.fed, [self.output])


def _tensor(value: Value) -> Tensor:
    assert isinstance(value, Tensor)
    return value


def _renamed(tensor: Tensor, names: dict[str, str]) -> Tensor:
    return Tensor(names.get(tensor.name, tensor.name), tensor.shape, tensor.dtype)


def _made(g: Emitter, tensor: Tensor) -> Tensor:
    """A graph cannot return an input or a constant as it is."""
    return tensor if g.is_node_output(tensor.name) else _copied(g, tensor)


def _copied(g: Emitter, tensor: Tensor) -> Tensor:
    return Tensor(g.copy(tensor), tensor.shape, tensor.dtype)


def _imported(g: Emitter, source: Emitter, tensor: Tensor) -> Tensor:
    """What is a constant in one graph is a constant in the other."""
    value = source.constant_value(tensor.name)
    if value is None:
        return tensor
    return Tensor(g.constant(value), tensor.shape, tensor.dtype)
