"""What each node of a traced model costs per sample, from two runs on tensors without data.

The graph runs once with a batch of two and once with a batch of three, in train mode, on fake
tensors: shapes, operations and autograd are real, data are not, so ResNet-50 takes a fraction of
a second. What grows from one run to the next is the cost of one sample; what stays is not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from attrs import frozen
from torch import Tensor, fx, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from coordinator.cutting.tracing import training_flags_kept
from runtime.errors import ModelError

BATCHES = (2, 3)


@frozen
class TensorOutline:
    """A tensor that was seen in a run."""

    shape: tuple[int, ...]


@frozen
class NodeCosts:
    """One node, for one sample.

    Attributes:
        values: what the node gave in each run, tensors as outlines.
        shape: the shape without the batch; None unless a float tensor with the batch first.
        output_bytes: bytes of the tensors it gives (0 for a view).
        working_bytes: bytes of its inputs and outputs together.
        flops: forward operations in matrix products and convolutions; a multiply-add is two.
        saved_bytes: what autograd keeps for the backward pass and did not keep before.
        view: whether the output shares its input's memory.
    """

    values: tuple[Any, Any]
    shape: tuple[int, ...] | None
    output_bytes: int
    working_bytes: int
    flops: int
    saved_bytes: int
    view: bool


def measure_nodes(
    model: nn.Module, graph: fx.Graph, example_inputs: Sequence[Tensor]
) -> Mapping[fx.Node, NodeCosts]:
    """Costs of every node. `example_inputs` have the batch first; only shapes and types count.

    Raises ModelError when the model does not run, or runs for one batch size alone.
    """
    with training_flags_kept(model), _buffers_kept(model):
        model.train()
        small, large = (_run(model, graph, example_inputs, batch) for batch in BATCHES)
    return {node: _difference(small[node], large[node]) for node in graph.nodes}


@contextmanager
def _buffers_kept(model: nn.Module) -> Iterator[None]:
    """Fake runs still count in the counters of batch norm, which are known by value."""
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        for buffer, value in buffers:
            buffer.copy_(value)


@frozen
class _Sample:
    """What one run saw at one node."""

    value: Any
    is_float: bool
    output_bytes: int
    working_bytes: int
    flops: int
    saved_bytes: int
    view: bool


class _Meter(fx.Interpreter):
    """Runs the graph and notes what each node gives and costs."""

    def __init__(self, model: nn.Module, graph: fx.Graph) -> None:
        super().__init__(model, graph=graph)
        self.samples: dict[fx.Node, _Sample] = {}
        self.flop_counter = FlopCounterMode(display=False)
        self.saved: dict[int, torch.UntypedStorage] = {}

    def run_node(self, n: fx.Node) -> Any:
        flops, kept = self.flop_counter.get_total_flops(), len(self.saved)
        result = super().run_node(n)
        inputs = [self.env[source] for source in n.all_input_nodes]
        view = _shares_memory(result, inputs)
        output_bytes = 0 if view else _tensor_bytes(result)
        self.samples[n] = _Sample(
            value=_outline(result),
            is_float=isinstance(result, Tensor) and result.is_floating_point(),
            output_bytes=output_bytes,
            working_bytes=output_bytes + sum(map(_tensor_bytes, inputs)),
            flops=self.flop_counter.get_total_flops() - flops,
            saved_bytes=sum(storage.nbytes() for storage in list(self.saved.values())[kept:]),
            view=view,
        )
        return result

    def pack(self, tensor: Tensor) -> Tensor:
        """Notes a tensor that autograd saves; one storage counts once."""
        storage = tensor.untyped_storage()
        self.saved.setdefault(storage._cdata, storage)
        return tensor


def _run(
    model: nn.Module, graph: fx.Graph, example_inputs: Sequence[Tensor], batch: int
) -> Mapping[fx.Node, _Sample]:
    meter = _Meter(model, graph)
    meter.garbage_collect_values = False
    try:
        # The boards' graphs are captured with attention spelt out; so are the costs.
        with FakeTensorMode(allow_non_fake_inputs=True), sdpa_kernel(SDPBackend.MATH):
            inputs = [
                torch.empty((batch, *x.shape[1:]), dtype=x.dtype, device=x.device)
                for x in example_inputs
            ]
            with meter.flop_counter, saved_tensors_hooks(meter.pack, lambda tensor: tensor):
                meter.run(*inputs)
    except Exception as error:
        told = str(error).partition("\n\nWhile executing")[0]
        shapes = ", ".join(str((batch, *x.shape[1:])) for x in example_inputs)
        raise ModelError(
            f"{type(model).__name__} does not run on inputs of shape {shapes}: {told}. The model "
            "must fit the data and take any batch size: write x.size(0), not a number"
        ) from error
    return meter.samples


def _difference(small: _Sample, large: _Sample) -> NodeCosts:
    return NodeCosts(
        values=(small.value, large.value),
        shape=_sample_shape(small, large),
        output_bytes=large.output_bytes - small.output_bytes,
        working_bytes=large.working_bytes - small.working_bytes,
        flops=large.flops - small.flops,
        saved_bytes=large.saved_bytes - small.saved_bytes,
        view=small.view,
    )


def _sample_shape(small: _Sample, large: _Sample) -> tuple[int, ...] | None:
    if not small.is_float:
        return None
    one, other = small.value.shape, large.value.shape
    batch_first = len(one) > 1 and (one[0], other[0]) == BATCHES
    return one[1:] if batch_first and one[1:] == other[1:] else None


def _outline(value: Any) -> Any:
    if isinstance(value, Tensor):
        return TensorOutline(tuple(value.shape))
    if isinstance(value, dict):
        return tuple(_outline(item) for item in value.items())
    if isinstance(value, (tuple, list)):
        return tuple(_outline(item) for item in value)
    return value


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        return _tensors(list(value.values()))
    if isinstance(value, (tuple, list)):
        return [tensor for item in value for tensor in _tensors(item)]
    return []


def _tensor_bytes(value: Any) -> int:
    return sum(math.prod(tensor.shape) * tensor.element_size() for tensor in _tensors(value))


def _shares_memory(value: Any, inputs: Sequence[Any]) -> bool:
    known = {tensor.untyped_storage()._cdata for tensor in _tensors(list(inputs))}
    return any(tensor.untyped_storage()._cdata in known for tensor in _tensors(value))
