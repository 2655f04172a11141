"""The gradient of a convolution's weights, in the form that is fastest for its shape.

Stock onnxruntime has no such kernel, and no one way to build it from standard operators wins
everywhere: the rule below was found by measurement (x86-64, one thread). It is named by
`KERNEL_FORMS`, since another rule gives other bits.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

from attrs import frozen

from coordinator.compiling.emitter import Emitter, Operand, Tensor

KERNEL_FORMS = "fast-1"

# Up to here the columns of all the taps together are small enough to be written out.
_FEW_CHANNELS = 16
_FEW_POSITIONS = 64


@frozen
class Geometry:
    """A convolution: weight shape [O, C/groups, *kernel], one number per spatial axis else."""

    weight: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    @property
    def kernel(self) -> tuple[int, ...]:
        return self.weight[2:]

    @property
    def taps(self) -> int:
        return math.prod(self.kernel)


def weight_gradient(g: Emitter, geometry: Geometry, x: Tensor, dy: Tensor) -> str:
    """Returns dL/dw [O, C/groups, *kernel] from x [N, C, *size] and dy [N, O, *positions]."""
    channels = x.shape[1]
    if geometry.groups > 1:
        if geometry.groups == channels == dy.shape[1]:
            return _depthwise(g, geometry, x, dy)
        return _columns(g, geometry, x, dy)
    if geometry.taps == 1 or channels < _FEW_CHANNELS:
        return _columns(g, geometry, x, dy)
    if math.prod(dy.shape[2:]) < _FEW_POSITIONS:
        return _one_gemm(g, geometry, x, dy)
    return _gemm_per_tap(g, geometry, x, dy)


def _columns(g: Emitter, geometry: Geometry, x: Tensor, dy: Tensor) -> str:
    """All the taps beside each other (im2col), then a product per sample and group."""
    batch, groups, taps = x.shape[0], geometry.groups, geometry.taps
    positions = math.prod(dy.shape[2:])
    inner, outer = x.shape[1] // groups, dy.shape[1] // groups
    padded = _padded(g, geometry, x)
    columns = [
        g.reshape(tap, (batch, groups, inner, positions))
        for tap in _taps(g, geometry, padded, dy.shape[2:])
    ]
    stacked = columns[0] if taps == 1 else g.op("Concat", *columns, axis=2)
    rows = g.reshape(dy.name, (batch, groups, outer, positions))
    product = g.op("MatMul", rows, g.transpose(stacked, [0, 1, 3, 2]))
    total = g.reduce("ReduceSum", product, [0], keep=False)
    return _taps_last(g, geometry, g.reshape(total, (groups * outer, taps, inner)))


def _one_gemm(g: Emitter, geometry: Geometry, x: Tensor, dy: Tensor) -> str:
    """Channels first, all the taps below each other: one product over batch and positions."""
    count = x.shape[0] * math.prod(dy.shape[2:])
    channels = x.shape[1]
    taps = [
        g.reshape(tap, (channels, count))
        for tap in _taps(g, geometry, _channels_first(g, geometry, x), dy.shape[2:])
    ]
    stacked = taps[0] if len(taps) == 1 else g.op("Concat", *taps, axis=0)
    product = g.op("Gemm", _rows(g, dy), stacked, transB=1)
    return _taps_last(g, geometry, g.reshape(product, (dy.shape[1], geometry.taps, channels)))


def _gemm_per_tap(g: Emitter, geometry: Geometry, x: Tensor, dy: Tensor) -> str:
    """Channels first, then a product over batch and positions for each tap."""
    count = x.shape[0] * math.prod(dy.shape[2:])
    outer, channels = dy.shape[1], x.shape[1]
    rows = _rows(g, dy)
    products = [
        g.op("Gemm", rows, g.reshape(tap, (channels, count)), transB=1)
        for tap in _taps(g, geometry, _channels_first(g, geometry, x), dy.shape[2:])
    ]
    layers = [g.reshape(product, (outer, channels, 1)) for product in products]
    return g.reshape(g.op("Concat", *layers, axis=2), geometry.weight)


def _depthwise(g: Emitter, geometry: Geometry, x: Tensor, dy: Tensor) -> str:
    """A convolution of each channel of each sample by its own gradient."""
    batch, channels = x.shape[:2]
    planes = batch * channels
    spatial = x.rank - 2
    found = g.op(
        "Conv",
        g.reshape(x, (1, planes, *x.shape[2:])),
        g.reshape(dy, (planes, 1, *dy.shape[2:])),
        strides=list(geometry.dilation),
        dilations=list(geometry.stride),
        pads=[*geometry.padding, *geometry.padding],
        group=planes,
    )
    # A stride that leaves a remainder gives this convolution positions beyond the kernel.
    axes = list(range(2, 2 + spatial))
    kernel = g.slice(found, axes, [0] * spatial, geometry.kernel, [1] * spatial)
    shaped = g.reshape(kernel, (batch, channels, 1, *geometry.kernel))
    return g.reduce("ReduceSum", shaped, [0], keep=False)


def _rows(g: Emitter, dy: Tensor) -> str:
    """dy as [O, N * positions]."""
    order = [1, 0, *range(2, dy.rank)]
    return g.reshape(g.transpose(dy, order), (dy.shape[1], -1))


def _channels_first(g: Emitter, geometry: Geometry, x: Tensor) -> str:
    return g.transpose(_padded(g, geometry, x), [1, 0, *range(2, x.rank)])


def _padded(g: Emitter, geometry: Geometry, x: Tensor) -> str:
    if not any(geometry.padding):
        return x.name
    return g.op("Pad", x, g.ints([0, 0, *geometry.padding, 0, 0, *geometry.padding]))


def _taps(
    g: Emitter, geometry: Geometry, padded: Operand, positions: Sequence[int]
) -> Iterator[str]:
    """For each element of the kernel, in order, the values of x that it was multiplied by."""
    axes = list(range(2, 2 + len(positions)))
    for tap in itertools.product(*map(range, geometry.kernel)):
        starts = [t * d for t, d in zip(tap, geometry.dilation, strict=True)]
        ends = [
            start + (n - 1) * s + 1
            for start, n, s in zip(starts, positions, geometry.stride, strict=True)
        ]
        yield g.slice(padded, axes, starts, ends, geometry.stride)


def _taps_last(g: Emitter, geometry: Geometry, product: str) -> str:
    """[O, taps, C/groups] to the shape of the weight."""
    turned = product if geometry.taps == 1 else g.transpose(product, [0, 2, 1])
    return g.reshape(turned, geometry.weight)
