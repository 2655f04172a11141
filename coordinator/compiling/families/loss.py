"""Losses that compare outputs with the numbers of classes."""

from __future__ import annotations

import numpy as np

from coordinator.compiling.emitter import Emitter, Result, Tensor
from coordinator.compiling.lowering import lowers
from runtime.errors import LoweringError

_CLASSES = 1
"""The axis of the classes, in whatever goes in."""
_NONE, _MEAN = 0, 1


@lowers("nll_loss_forward.default", "nll_loss2d_forward.default")
def nll_loss(
    g: Emitter, _: object, x: Tensor, labels: Tensor, weight: Tensor | None, kind: int, ignored: int
) -> Result:
    """The loss and the sum of the labels' weights."""
    known, weights = _labels(g, x, labels, weight, ignored)
    places = g.op("Unsqueeze", known, g.ints([_CLASSES]))
    chosen = g.op("GatherElements", x, places, axis=_CLASSES)
    picked = g.op("Squeeze", chosen, g.ints([_CLASSES]))
    losses = g.op("Neg", g.op("Mul", picked, weights))
    axes = range(labels.rank)
    total = g.reduce("ReduceSum", weights, axes, keep=False)
    if kind == _NONE:
        return losses, total
    loss = g.reduce("ReduceSum", losses, axes, keep=False)
    return (g.op("Div", loss, total) if kind == _MEAN else loss), total


@lowers("nll_loss_backward.default", "nll_loss2d_backward.default")
def nll_loss_backward(
    g: Emitter,
    _: Tensor,
    dy: Tensor,
    x: Tensor,
    labels: Tensor,
    weight: Tensor | None,
    kind: int,
    ignored: int,
    total: Tensor,
) -> Result:
    known, weights = _labels(g, x, labels, weight, ignored)
    slope = g.op("Div", dy, total) if kind == _MEAN else dy.name
    each = g.op("Unsqueeze", g.op("Mul", weights, slope), g.ints([_CLASSES]))
    count = g.ints([x.shape[_CLASSES]])
    ends = g.constant(np.array([0.0, -1.0], x.dtype))
    return g.op("Mul", g.op("OneHot", known, count, ends, axis=_CLASSES), each)


def _labels(
    g: Emitter, x: Tensor, labels: Tensor, weight: Tensor | None, ignored: int
) -> tuple[str, str]:
    """Labels that are all classes, and the weight of each: 0 for one that is ignored."""
    if x.rank < 2:
        raise LoweringError("aten.nll_loss_forward", "without a batch")
    absent = g.op("Equal", labels, g.scalar(ignored, labels.dtype))
    known = g.op("Where", absent, g.scalar(0, labels.dtype), labels)
    full = g.scalar(1.0, x.dtype) if weight is None else g.op("Gather", weight, known, axis=0)
    return known, g.op("Where", absent, g.scalar(0.0, x.dtype), full)
