"""Resampling of spatial axes: a product with one constant matrix per axis.

The matrices are read off torch's own operator by resampling the identity; the backward pass
multiplies by their transposes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from coordinator.compiling.emitter import Emitter, Result, Tensor
from coordinator.compiling.lowering import lowers

aten = torch.ops.aten

Matrix = NDArray[np.float32]
Resample = Callable[[torch.Tensor, int, float | None], torch.Tensor]


def _nearest(rows: torch.Tensor, size: int, scale: float | None) -> torch.Tensor:
    result: torch.Tensor = aten.upsample_nearest1d(rows, [size], scale)
    return result


def _linear(*, align_corners: bool) -> Resample:
    def resample(rows: torch.Tensor, size: int, scale: float | None) -> torch.Tensor:
        result: torch.Tensor = aten.upsample_linear1d(rows, [size], align_corners, scale)
        return result

    return resample


def _average(rows: torch.Tensor, size: int, _: float | None) -> torch.Tensor:
    return torch.nn.functional.adaptive_avg_pool1d(rows, size)


def _matrix(resample: Resample, before: int, after: int, scale: float | None) -> Matrix:
    """[before, after]: the weight of each old place in each new one."""
    return resample(torch.eye(before)[None], after, scale)[0].numpy()


def _applied(g: Emitter, x: Tensor, matrices: Sequence[Matrix]) -> str:
    """Multiplies the last one or two axes of x by [old, new] matrices."""
    result = g.op("MatMul", x, g.constant(np.ascontiguousarray(matrices[-1])))
    if len(matrices) == 1:
        return result
    return g.op("MatMul", g.constant(np.ascontiguousarray(matrices[0].T)), result)


def _resized(
    g: Emitter,
    x: Tensor,
    old: Sequence[int],
    new: Sequence[int],
    resample: Resample,
    scales: Sequence[float | None],
) -> str:
    pairs = zip(old, new, scales, strict=True)
    return _applied(g, x, [_matrix(resample, before, after, s) for before, after, s in pairs])


def _resized_backward(
    g: Emitter,
    dy: Tensor,
    old: Sequence[int],
    new: Sequence[int],
    resample: Resample,
    scales: Sequence[float | None],
) -> str:
    pairs = zip(old, new, scales, strict=True)
    return _applied(g, dy, [_matrix(resample, before, after, s).T for before, after, s in pairs])


@lowers("upsample_nearest1d.default", "upsample_nearest2d.default")
def nearest(g: Emitter, out: Tensor, x: Tensor, _: list[int], *scales: float | None) -> Result:
    return _resized(g, x, x.shape[2:], out.shape[2:], _nearest, scales)


@lowers("upsample_nearest1d_backward.default", "upsample_nearest2d_backward.default")
def nearest_backward(
    g: Emitter, out: Tensor, dy: Tensor, _: list[int], __: list[int], *scales: float | None
) -> Result:
    return _resized_backward(g, dy, out.shape[2:], dy.shape[2:], _nearest, scales)


@lowers("upsample_linear1d.default", "upsample_bilinear2d.default")
def linear(
    g: Emitter, out: Tensor, x: Tensor, _: list[int], align: bool, *scales: float | None
) -> Result:
    resample = _linear(align_corners=align)
    return _resized(g, x, x.shape[2:], out.shape[2:], resample, scales)


@lowers("upsample_linear1d_backward.default", "upsample_bilinear2d_backward.default")
def linear_backward(
    g: Emitter,
    out: Tensor,
    dy: Tensor,
    _: list[int],
    __: list[int],
    align: bool,
    *scales: float | None,
) -> Result:
    resample = _linear(align_corners=align)
    return _resized_backward(g, dy, out.shape[2:], dy.shape[2:], resample, scales)


@lowers("_adaptive_avg_pool2d.default")
def adaptive_average_pool(g: Emitter, out: Tensor, x: Tensor, _: list[int]) -> Result:
    return _resized(g, x, x.shape[2:], out.shape[2:], _average, (None, None))


@lowers("_adaptive_avg_pool2d_backward.default")
def adaptive_average_pool_backward(g: Emitter, out: Tensor, dy: Tensor, x: Tensor) -> Result:
    return _resized_backward(g, dy, out.shape[2:], dy.shape[2:], _average, (None, None))
