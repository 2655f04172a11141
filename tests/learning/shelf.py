"""Compiled programs, kept over the tests of this folder: worlds by the dozen train alike."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from attrs import define, field
from torch import fx, nn

from coordinator.compiling.compiler import compile_segment
from runtime.program import Codec, SegmentProgram


@define
class Shelf:
    """Stands in for `compile_segment`; programs hold no weights, so that equal forms share one."""

    _programs: dict[tuple[str, ...], SegmentProgram] = field(factory=dict)

    def __call__(
        self, module: nn.Module, inputs: Sequence[torch.Tensor], *, cut: str, codec: Codec
    ) -> SegmentProgram:
        assert isinstance(module, fx.GraphModule)
        state = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
        shapes = [(tuple(tensor.shape), tensor.dtype) for tensor in inputs]
        key = (module.code, repr(module), repr(state), repr(shapes), cut, codec)
        if key not in self._programs:
            self._programs[key] = compile_segment(module, inputs, cut=cut, codec=codec)
        return self._programs[key]
