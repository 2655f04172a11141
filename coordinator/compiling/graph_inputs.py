"""The tensors that feed a segment, under the names they have in every graph."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from attrs import frozen

from coordinator.compiling.capture import Captured
from coordinator.compiling.emitter import DTYPES, Tensor
from runtime.errors import ModelError
from runtime.program import Source


@frozen
class GraphInputs:
    """In the order of the placeholders of the captured forward graph."""

    parameters: tuple[Tensor, ...]
    buffers: tuple[Tensor, ...]
    inputs: tuple[Tensor, ...]
    masks: tuple[Tensor, ...]

    @classmethod
    def of(cls, captured: Captured, inputs: Sequence[torch.Tensor]) -> GraphInputs:
        """Names the state by its keys, the inputs `%input0`..., the masks by their layer."""
        module = captured.module
        return cls(
            parameters=tuple(_tensor(k, v) for k, v in module.named_parameters()),
            buffers=tuple(_tensor(k, v) for k, v in module.named_buffers()),
            inputs=tuple(_tensor(f"%input{i}", value) for i, value in enumerate(inputs)),
            masks=tuple(Tensor(spec.name, spec.shape, "bool") for spec in captured.masks),
        )

    @property
    def state(self) -> tuple[Tensor, ...]:
        return self.parameters + self.buffers

    @property
    def all(self) -> tuple[Tensor, ...]:
        return self.state + self.inputs + self.masks

    def source(self, tensor: Tensor) -> Source:
        """Tells which group a tensor is in; what is in none is made by the forward pass."""
        groups: dict[Source, tuple[Tensor, ...]] = {
            "parameter": self.parameters,
            "buffer": self.buffers,
            "input": self.inputs,
            "mask": self.masks,
        }
        for source, tensors in groups.items():
            if tensor in tensors:
                return source
        return "output"


def _tensor(name: str, value: torch.Tensor) -> Tensor:
    if value.dtype not in DTYPES:
        raise ModelError(f"{name} is of type {value.dtype}, which no board handles")
    return Tensor(name, tuple(value.shape), DTYPES[value.dtype])
