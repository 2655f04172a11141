"""Captures a module's training step as two FX graphs, by AOTAutograd."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from attrs import frozen
from functorch.compile import (  # type: ignore[import-untyped]
    aot_function,
    default_partition,
    make_boxed_func,
)
from torch import Tensor, nn
from torch.func import functional_call
from torch.fx import GraphModule
from torch.nn.attention import SDPBackend, sdpa_kernel

from coordinator.compiling.decompositions import DECOMPOSITIONS, composites_kept_whole
from coordinator.compiling.module_state import ModuleState
from coordinator.compiling.thrift import save_outputs_of_clamps
from coordinator.cutting.dropout import bind_masks, mask_specs, replace_dropout
from runtime.errors import EdgeSplitError, ModelError
from runtime.program import MaskSpec


@frozen
class Captured:
    """The training step of a module.

    `forward` takes the tensors of `state`, the inputs and the masks, in that order, and returns
    the output, the new value of each buffer and constant, and what `backward` needs.
    `backward` takes that and the gradient at the output; it returns one gradient (or None) for
    each input of `forward`.
    """

    state: ModuleState
    forward: GraphModule
    backward: GraphModule
    masks: tuple[MaskSpec, ...]

    @property
    def result_count(self) -> int:
        """How many outputs of `forward` come before those that `backward` needs."""
        return 1 + len(self.state.buffers) + len(self.state.constants)


def capture(module: nn.Module, inputs: Sequence[Tensor]) -> Captured:
    """Traces `module` in training mode at the shapes of `inputs`; leaves it as it was.

    Raises:
        ModelError: when the module cannot be traced, or does not yield one float32 tensor with
            a gradient.
    """
    module = prepared(module).train()
    masks = mask_specs(copy.deepcopy(module), inputs)
    state = ModuleState.of(module)

    def step(
        weights: list[Tensor], held: list[Tensor], data: list[Tensor], keep: list[Tensor]
    ) -> tuple[Tensor, ...]:
        fresh = [tensor.clone() for tensor in held]
        bind_masks(module, {spec.name: mask for spec, mask in zip(masks, keep, strict=True)})
        tensors = dict(zip(state.all, [*weights, *fresh], strict=True))
        output = functional_call(module, tensors, tuple(data))
        if not isinstance(output, Tensor):
            raise ModelError("the segment does not yield one tensor")
        # A clone is no view, and views among the outputs would be handed out in another form.
        return (output.clone(), *fresh)

    graphs: dict[str, GraphModule] = {}
    _trace(
        step,
        graphs,
        [p.detach().clone().requires_grad_(p.requires_grad) for p in state.parameters.values()],
        [tensor.clone() for tensor in (*state.buffers.values(), *state.constants.values())],
        [tensor.detach().clone() for tensor in inputs],
        [torch.ones(spec.shape, dtype=torch.bool) for spec in masks],
    )
    captured = Captured(state, graphs["forward"], graphs["backward"], masks)
    save_outputs_of_clamps(captured.forward, captured.backward, captured.result_count)
    return captured


def capture_inference(module: nn.Module, inputs: Sequence[Tensor]) -> GraphModule:
    """Traces `module` in evaluation mode: its state and the inputs to the output."""
    module = prepared(module).eval()
    state = ModuleState.of(module).all

    def predict(tensors: list[Tensor], data: list[Tensor]) -> Tensor:
        named = dict(zip(state, tensors, strict=True))
        result: Tensor = functional_call(module, named, tuple(data))
        return result.clone()

    values = [tensor.detach().clone() for tensor in state.values()]
    graphs: dict[str, GraphModule] = {}
    with torch.no_grad():
        _trace_graphs(predict, graphs, values, list(inputs))
    return graphs["forward"]


def prepared(module: nn.Module) -> nn.Module:
    """Returns a copy of `module` whose dropout layers take their masks as inputs."""
    module = copy.deepcopy(module)
    replace_dropout(module)
    return module


def _trace(
    step: Callable[..., tuple[Tensor, ...]], graphs: dict[str, GraphModule], *args: list[Tensor]
) -> None:
    output: Tensor = _trace_graphs(step, graphs, *args)[0]
    if output.dtype != torch.float32:
        raise ModelError(f"the segment yields {output.dtype}; only float32 can be sent")
    if not output.requires_grad:
        raise ModelError("nothing in the segment learns: no gradient reaches its parameters")
    # The backward graph is compiled when it is first run.
    torch.autograd.backward(output, torch.ones_like(output))


def _trace_graphs(
    function: Callable[..., Any], graphs: dict[str, GraphModule], *args: list[Tensor]
) -> Any:
    def keep(name: str) -> Callable[[GraphModule, list[Any]], Any]:
        def compiler(graph: GraphModule, _: list[Any]) -> Any:
            graphs[name] = graph
            return make_boxed_func(graph.forward)

        return compiler

    compiled = aot_function(
        function,
        fw_compiler=keep("forward"),
        bw_compiler=keep("backward"),
        partition_fn=default_partition,
        decompositions=DECOMPOSITIONS,
    )
    try:
        with capturing():
            return compiled(*args)
    except EdgeSplitError:
        raise
    except Exception as error:
        raise ModelError(f"the segment cannot be traced: {error}") from error


@contextmanager
def capturing() -> Iterator[None]:
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        # Fused attention and oneDNN's LSTM have backward passes that cannot be taken apart.
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.enter_context(torch.backends.mkldnn.flags(enabled=False))
        stack.enter_context(composites_kept_whole())
        yield
