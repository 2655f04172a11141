"""Dropout whose masks are a function of the place in the run, on either side of a cut.

Every dropout layer multiplies by a mask that is drawn outside, from (seed, round, step, ...), so
that it can be drawn again: by numpy on a board, or here. Nothing draws from torch's own generator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, fx, nn

from runtime.errors import ModelError
from runtime.program import MaskSpec
from runtime.randomness import dropout_mask

FetchMask = Callable[[str, float, tuple[int, ...]], Tensor]

_CHANNELWISE = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
_MASKABLE = (nn.Dropout, *_CHANNELWISE)
_WITH_P = (nn.AlphaDropout, nn.FeatureAlphaDropout)
_WITH_DROPOUT = (nn.RNNBase, nn.MultiheadAttention)
_ALWAYS_RANDOM = (nn.RReLU, nn.FractionalMaxPool2d, nn.FractionalMaxPool3d)


class MaskedDropout(nn.Module):
    """Stands in for a dropout layer: multiplies by `mask / (1 - drop)` while training.

    Its mask is asked for by the layer's path, on a second call `path@1`: the same name, so the
    same mask, on whichever side of a cut the layer lies. `earlier` calls lie in front of the cut.
    A mask has the shape of the input, or [batch, channels, 1, ...] for the layers that drop whole
    channels.
    """

    def __init__(self, path: str, drop: float, *, channelwise: bool, earlier: int = 0) -> None:
        super().__init__()
        self.path, self.drop, self.channelwise = path, drop, channelwise
        self.earlier = self.calls = earlier
        self.fetch: FetchMask | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Raises ModelError in train mode where no masks were bound."""
        if not self.training:
            return x
        if self.fetch is None:
            raise ModelError("a dropout layer runs in train mode before its masks were bound")
        shape = tuple(x.shape)
        if self.channelwise:
            shape = shape[:2] + (1,) * (len(shape) - 2)
        name = f"{self.path}@{self.calls}" if self.calls else self.path
        mask = self.fetch(name, self.drop, shape)
        self.calls += 1
        return x * mask * (1.0 / (1.0 - self.drop))


def replace_dropout(module: nn.Module) -> None:
    """Puts a MaskedDropout in the place of every layer below `module` that drops something.

    state_dict keys stay.

    Raises:
        ModelError: for a layer that drops everything, or that draws numbers where no mask
            reaches (dropout of nn.LSTM, nn.MultiheadAttention, ...).
    """
    earlier = dict(_calls_in_front(module)) if isinstance(module, fx.GraphModule) else {}
    for path, child in list(module.named_modules()):
        _refuse_hidden(path, child)
        if path and isinstance(child, _MASKABLE) and child.p > 0.0:
            if child.p >= 1.0:
                raise ModelError(f"dropout layer {path} drops everything (p={child.p})")
            channelwise = isinstance(child, _CHANNELWISE)
            masked = MaskedDropout(
                path, child.p, channelwise=channelwise, earlier=earlier.get(path, 0)
            )
            module.set_submodule(path, masked.train(child.training))


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


def draw_masks(module: nn.Module, generator: Callable[[str], np.random.Generator]) -> None:
    """Lets them draw their masks; `generator` gives a fresh generator for each purpose."""

    def draw(name: str, drop: float, shape: tuple[int, ...]) -> Tensor:
        return torch.from_numpy(dropout_mask(generator(f"dropout:{name}"), shape, drop))

    _fetch_with(module, draw)


def _fetch_with(module: nn.Module, fetch: FetchMask) -> None:
    for child in module.modules():
        if isinstance(child, MaskedDropout):
            child.calls = child.earlier
            child.fetch = fetch


def _calls_in_front(segment: fx.GraphModule) -> Iterator[tuple[str, int]]:
    """Yields how often each layer was called before, by the first call that the segment has."""
    for node in reversed(segment.graph.nodes):
        if node.op == "call_module" and "nn_module_stack" in node.meta:
            # The tracer numbers repeated calls: `path`, `path@1`, ...
            name = list(node.meta["nn_module_stack"])[-1]
            yield str(node.target), int(name.rpartition("@")[2]) if "@" in name else 0


def _refuse_hidden(path: str, layer: nn.Module) -> None:
    drops = (isinstance(layer, _WITH_P) and layer.p > 0) or (
        isinstance(layer, _WITH_DROPOUT) and layer.dropout > 0
    )
    if drops or isinstance(layer, _ALWAYS_RANDOM):
        raise ModelError(
            f"{path} ({type(layer).__name__}) draws random numbers that cannot be repeated "
            "from a seed: set its dropout to 0 and add nn.Dropout layers around it"
        )
