"""Maximum and average pooling, forward and backward."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from coordinator.compiling.emitter import Emitter, Result, Tensor
from coordinator.compiling.lowering import lowers
from runtime.errors import LoweringError


def _pair(values: Sequence[int], default: Sequence[int] = ()) -> list[int]:
    chosen = list(values) or list(default)
    return chosen * 2 if len(chosen) == 1 else chosen


@lowers("max_pool2d_with_indices.default")
def max_pool(
    g: Emitter,
    _: object,
    x: Tensor,
    kernel: list[int],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    ceil_mode: bool,
) -> Result:
    """The indices count through the whole tensor, where torch's count through each plane."""
    pads = _pair(padding)
    return g.ops(
        "MaxPool",
        2,
        x,
        kernel_shape=_pair(kernel),
        strides=_pair(stride, kernel),
        pads=[*pads, *pads],
        dilations=_pair(dilation),
        ceil_mode=int(ceil_mode),
    )


@lowers("max_pool2d_with_indices_backward.default")
def max_pool_backward(
    g: Emitter,
    out: Tensor,
    dy: Tensor,
    x: Tensor,
    kernel: list[int],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    ceil_mode: bool,
    indices: Tensor,
) -> Result:
    size, step = _pair(kernel), _pair(stride, kernel)
    apart = all(k <= s for k, s in zip(size, step, strict=True))
    if apart and not any(padding) and _pair(dilation) == [1, 1] and not ceil_mode:
        shape = g.ints(out.shape)
        return g.op("MaxUnpool", dy, indices, shape, kernel_shape=size, strides=step)
    return _scattered(g, out, dy, indices)


def _scattered(g: Emitter, out: Tensor, dy: Tensor, indices: Tensor) -> str:
    """Windows that overlap may choose the same place, whose gradients add up."""
    empty = g.op("Expand", g.scalar(0.0), g.ints([math.prod(out.shape)]))
    places, values = g.reshape(indices.name, [-1]), g.reshape(dy.name, [-1])
    flat = g.op("ScatterElements", empty, places, values, axis=0, reduction="add")
    return g.reshape(flat, out.shape)


@lowers("avg_pool2d.default")
def average_pool(
    g: Emitter,
    _: Tensor,
    x: Tensor,
    kernel: list[int],
    stride: list[int],
    padding: list[int],
    ceil_mode: bool,
    count_padding: bool,
    divisor: int | None,
) -> Result:
    _refuse_unusual(ceil_mode, divisor)
    pads = _pair(padding)
    return g.op(
        "AveragePool",
        x,
        kernel_shape=_pair(kernel),
        strides=_pair(stride, kernel),
        pads=[*pads, *pads],
        count_include_pad=int(count_padding),
    )


@lowers("avg_pool2d_backward.default")
def average_pool_backward(
    g: Emitter,
    out: Tensor,
    dy: Tensor,
    x: Tensor,
    kernel: list[int],
    stride: list[int],
    padding: list[int],
    ceil_mode: bool,
    count_padding: bool,
    divisor: int | None,
) -> Result:
    """A transposed convolution of every plane by itself, with equal weights."""
    _refuse_unusual(ceil_mode, divisor)
    size, step, pads = _pair(kernel), _pair(stride, kernel), _pair(padding)
    planes = (math.prod(dy.shape[:2]), 1, *dy.shape[2:])
    share = dy.name if count_padding else _per_counted(g, dy, x, size, step, pads)
    weight = g.constant(np.full((1, 1, *size), 1 / math.prod(size), np.float32))
    rest = [
        n - ((m - 1) * s - 2 * p + k)
        for n, m, s, p, k in zip(out.shape[2:], dy.shape[2:], step, pads, size, strict=True)
    ]
    flat = g.op(
        "ConvTranspose",
        g.reshape(share, planes),
        weight,
        strides=step,
        pads=[*pads, *pads],
        output_padding=rest,
    )
    return g.reshape(flat, out.shape)


def _per_counted(
    g: Emitter, dy: Tensor, x: Tensor, size: list[int], step: list[int], pads: list[int]
) -> str:
    """Scales dy where a window reaches into padding that the average did not count."""
    inside = torch.nn.functional.avg_pool2d(torch.ones(1, 1, *x.shape[2:]), size, step, pads)
    return g.op("Mul", dy, g.constant((1 / inside).numpy()))


def _refuse_unusual(ceil_mode: bool, divisor: int | None) -> None:
    if ceil_mode:
        raise LoweringError("aten.avg_pool2d", "with ceil_mode")
    if divisor is not None:
        raise LoweringError("aten.avg_pool2d", "with divisor_override")
