"""Dropout as data: each nn.Dropout multiplies by a mask that is an input of the graph.

In-graph random numbers would be stateful, differ per run and could not be replayed. A mask
that is drawn outside from (seed, round, step, ...) can.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from runtime.errors import ModelError
from runtime.program import MaskSpec

FetchMask = Callable[[str, float, tuple[int, ...]], Tensor]

_CHANNELWISE = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


class MaskedDropout(nn.Module):
    """Stands in for a dropout layer: multiplies by `mask / (1 - drop)` while training.

    Its mask is asked for by the layer's path, on a second call `path@1`: the same name, so the
    same mask, on whichever side of a cut the layer lies. It has the shape of the input, or
    [batch, channels, 1, ...] for the layers that drop whole channels.
    """

    def __init__(self, path: str, drop: float, *, channelwise: bool) -> None:
        super().__init__()
        self.path, self.drop, self.channelwise = path, drop, channelwise
        self.calls = 0
        self.fetch: FetchMask | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.drop == 0.0 or self.fetch is None:
            return x
        shape = tuple(x.shape)
        if self.channelwise:
            shape = shape[:2] + (1,) * (len(shape) - 2)
        name = f"{self.path}@{self.calls}" if self.calls else self.path
        mask = self.fetch(name, self.drop, shape)
        self.calls += 1
        return x * mask * (1.0 / (1.0 - self.drop))


def replace_dropout(module: nn.Module) -> None:
    """Puts a MaskedDropout in the place of every dropout layer below `module`.

    Raises:
        ModelError: for a layer that drops everything.
    """
    for path, child in list(module.named_modules()):
        if path and isinstance(child, (nn.Dropout, *_CHANNELWISE)):
            if child.p >= 1.0:
                raise ModelError(f"dropout layer {path} drops everything (p={child.p})")
            channelwise = isinstance(child, _CHANNELWISE)
            module.set_submodule(path, MaskedDropout(path, child.p, channelwise=channelwise))


def mask_specs(module: nn.Module, inputs: Sequence[Tensor]) -> tuple[MaskSpec, ...]:
    """Runs `module` once and returns the masks that it asks for, in the order of use."""
    specs: list[MaskSpec] = []

    def record(name: str, drop: float, shape: tuple[int, ...]) -> Tensor:
        specs.append(MaskSpec(name, shape, drop))
        return torch.ones(shape, dtype=torch.bool)

    _fetch_with(module, record)
    with torch.no_grad():
        module(*inputs)
    return tuple(specs)


def bind_masks(module: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Lets the dropout layers of the next forward pass take their masks from `masks`."""
    _fetch_with(module, lambda name, drop, shape: masks[name])


def _fetch_with(module: nn.Module, fetch: FetchMask) -> None:
    for child in module.modules():
        if isinstance(child, MaskedDropout):
            child.calls = 0
            child.fetch = fetch
