"""The gradient of a convolution's weights, in the form that is fastest for its shape.

Stock onnxruntime has no such kernel, and no one way to build it from standard operators wins
everywhere: the rule below was found by measurement (x86-64, one thread). It is named by
`KERNEL_FORMS`, since another rule gives other bits.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

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
    """Each row of dy times the row of x that a row of the kernel laid over it, all with all.

    Summed over batch and rows that is one product [width of x, width of dy] per channel and row
    of the kernel, of which a column of the kernel is a (strided) diagonal. Most of the product
    is thrown away, and it is still three times as fast as any way to compute the taps alone.
    """
    channels, width, columns = x.shape[1], x.shape[-1], dy.shape[-1]
    right = g.reshape(_rows_first(g, dy), (channels, -1, columns))
    products = [
        g.op("MatMul", g.transpose(g.reshape(band, (channels, -1, width)), [0, 2, 1]), right)
        for band in _bands(g, geometry, x, dy)
    ]
    stacked = products[0] if len(products) == 1 else g.op("Concat", *products, axis=1)
    flat = g.reshape(stacked, (channels * len(products), width * columns))
    chosen = _diagonals(geometry, width, columns)
    places = Tensor(g.constant(chosen), chosen.shape, "uint8")  # a byte each in the program
    picked = g.op("MatMul", flat, g.cast(places, "float32"))
    return g.reshape(picked, geometry.weight)


def _rows_first(g: Emitter, tensor: Tensor) -> str:
    """[N, C, (rows,) width] as [C, (rows,) N, width]."""
    return g.transpose(tensor, [*range(1, tensor.rank - 1), 0, tensor.rank - 1])


def _bands(g: Emitter, geometry: Geometry, x: Tensor, dy: Tensor) -> Iterator[str]:
    """For each row of the kernel the rows of x that it meets, over their full width."""
    turned = _rows_first(g, x)
    if x.rank == 3:
        yield turned
        return
    edge = geometry.padding[0]
    tall = turned if edge == 0 else g.op("Pad", turned, g.ints([0, edge, 0, 0, 0, edge, 0, 0]))
    step, reach = geometry.stride[0], (dy.shape[2] - 1) * geometry.stride[0] + 1
    for tap in range(geometry.kernel[0]):
        start = tap * geometry.dilation[0]
        yield g.slice(tall, [1], [start], [start + reach], [step])


def _diagonals(geometry: Geometry, width: int, columns: int) -> NDArray[np.uint8]:
    """[width * columns, taps]: 1 where a tap lays place w of x over column p of dy."""
    taps = geometry.kernel[-1]
    chosen = np.zeros((width, columns, taps), np.uint8)
    for tap, column in itertools.product(range(taps), range(columns)):
        start = column * geometry.stride[-1] - geometry.padding[-1]
        place = start + tap * geometry.dilation[-1]
        if 0 <= place < width:
            chosen[place, column, tap] = 1
    return chosen.reshape(width * columns, taps)


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
