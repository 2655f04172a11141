"""The tensors that feed a segment, under the names they have in every graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from attrs import frozen
from numpy.typing import NDArray

from coordinator.compiling.emitter import DTYPES, Emitter, Tensor
from coordinator.compiling.module_state import ModuleState
from runtime.errors import ModelError
from runtime.program import MaskSpec, Source


@frozen
class GraphInputs:
    """What a board feeds, and the constants that are part of the program instead."""

    parameters: tuple[Tensor, ...]
    buffers: tuple[Tensor, ...]
    constants: tuple[NDArray[Any], ...]
    inputs: tuple[Tensor, ...]
    masks: tuple[Tensor, ...]

    @classmethod
    def of(
        cls,
        state: ModuleState,
        inputs: Sequence[torch.Tensor],
        masks: Sequence[MaskSpec] = (),
    ) -> GraphInputs:
        """Names the state by its keys, the inputs `%input0`..., the masks by their layer."""
        return cls(
            parameters=tuple(_tensor(k, v) for k, v in state.parameters.items()),
            buffers=tuple(_tensor(k, v) for k, v in state.buffers.items()),
            constants=tuple(t.detach().numpy() for t in state.constants.values()),
            inputs=tuple(_tensor(f"%input{i}", value) for i, value in enumerate(inputs)),
            masks=tuple(Tensor(spec.name, spec.shape, "bool") for spec in masks),
        )

    @property
    def state(self) -> tuple[Tensor, ...]:
        return self.parameters + self.buffers

    @property
    def fed(self) -> tuple[Tensor, ...]:
        return self.state + self.inputs + self.masks

    def placeholders(self, g: Emitter) -> tuple[Tensor, ...]:
        """Returns what the captured forward graph takes, in its order."""
        return (*self.state, *self._constants(g), *self.inputs, *self.masks)

    def inference_placeholders(self, g: Emitter) -> tuple[Tensor, ...]:
        """Returns what the captured inference graph takes, in its order."""
        return (*self.state, *self._constants(g), *self.inputs)

    def _constants(self, g: Emitter) -> list[Tensor]:
        return [Tensor(g.constant(a), a.shape, a.dtype.name) for a in self.constants]

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
