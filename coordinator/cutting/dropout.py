"""Dropout whose masks are a function of the place in the run, on either side of a cut.

Every call of a dropout layer in a segment becomes a layer of its own, so that each has one mask.
A mask is set before the forward pass and comes from numpy, which a board can replay without
torch; nothing draws from torch's own generator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from attrs import frozen
from torch import Tensor, fx, nn

from coordinator.cutting.segments import SAMPLE_SHAPE
from runtime.errors import ModelError
from runtime.randomness import dropout_mask

_Maskable = nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Dropout3d
_MASKABLE = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
_WITH_P = (*_MASKABLE, nn.AlphaDropout, nn.FeatureAlphaDropout)
_WITH_DROPOUT = (nn.RNNBase, nn.MultiheadAttention)
_ALWAYS_RANDOM = (nn.RReLU, nn.FractionalMaxPool2d, nn.FractionalMaxPool3d)


class MaskedDropout(nn.Module):
    """x * keep / (1 - drop) in train mode, x in eval mode.

    Attributes:
        keep: bool mask; a buffer that is in no state_dict, None until it is set.
        sample_shape: shape of the mask without the batch.
    """

    keep: Tensor | None

    def __init__(self, drop: float, sample_shape: Sequence[int]) -> None:
        super().__init__()
        self.drop = drop
        self.sample_shape = tuple(sample_shape)
        self.scale = 1.0 / (1.0 - drop) if drop < 1.0 else 0.0
        self.register_buffer("keep", None, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Any float tensor that the mask broadcasts to. Raises ModelError without a mask."""
        if not self.training:
            return x
        if self.keep is None:
            raise ModelError("a dropout layer runs in train mode before its mask was set")
        return x * self.keep * self.scale


@frozen
class DropoutSite:
    """One call of dropout in a segment: its name, stable for a cut, and the layer that serves."""

    name: str
    layer: MaskedDropout

    @property
    def purpose(self) -> str:
        """What keys the mask's random generator."""
        return f"dropout:{self.name}"


def seed_dropout(segment: fx.GraphModule) -> tuple[DropoutSite, ...]:
    """Puts a MaskedDropout in place of every call of dropout, and returns them in call order.

    A site is named by its path in the whole model (`features.3`, on a second call
    `features.3@1`), so that a layer has the same masks on whichever side of a cut it lies.
    state_dict keys stay, and so do layers that drop nothing. Raises ModelError for layers that
    draw numbers where no mask reaches (dropout of nn.LSTM, nn.MultiheadAttention, ...).
    """
    sites = []
    nodes = [node for node in segment.graph.nodes if node.op == "call_module"]
    # All are looked up before any is replaced: one layer may be called twice.
    layers = [segment.get_submodule(str(node.target)) for node in nodes]
    for node, layer in zip(nodes, layers, strict=True):
        if not isinstance(layer, _MASKABLE):
            _refuse_hidden(str(node.target), layer)
        elif layer.p > 0:
            sites.append(_replace(segment, node, layer))
    segment.recompile()
    return tuple(sites)


def set_masks(
    sites: Sequence[DropoutSite], batch: int, generator: Callable[[str], np.random.Generator]
) -> None:
    """Draws every site's mask for a batch; `generator` gives a fresh generator per purpose."""
    for site in sites:
        shape = (batch, *site.layer.sample_shape)
        mask = dropout_mask(generator(site.purpose), shape, site.layer.drop)
        site.layer.keep = torch.from_numpy(mask)


def _replace(segment: fx.GraphModule, node: fx.Node, layer: _Maskable) -> DropoutSite:
    shape = node.meta[SAMPLE_SHAPE]
    if shape is None:
        raise ModelError(f"dropout {node.target!r} is not applied to floats with the batch first")
    if not isinstance(layer, nn.Dropout):
        shape = (shape[0], *[1] * (len(shape) - 1))
    masked = MaskedDropout(layer.p, shape)
    masked.train(layer.training)
    # The tracer numbers repeated calls: `path`, `path@1`, ...
    name = list(node.meta["nn_module_stack"])[-1]
    target = name.replace("@", "_call")
    segment.add_submodule(target, masked)
    node.target = target
    return DropoutSite(name, masked)


def _refuse_hidden(path: str, layer: nn.Module) -> None:
    for part in layer.modules():
        drops = (isinstance(part, _WITH_P) and part.p > 0) or (
            isinstance(part, _WITH_DROPOUT) and part.dropout > 0
        )
        if drops or isinstance(part, _ALWAYS_RANDOM):
            raise ModelError(
                f"{path} ({type(layer).__name__}) draws random numbers that cannot be repeated "
                "from a seed: set its dropout to 0 and add nn.Dropout layers around it"
            )
