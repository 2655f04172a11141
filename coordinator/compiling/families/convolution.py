"""Convolutions and their gradients with respect to input and bias."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from coordinator.compiling.emitter import Emitter, Operand, Result, Tensor
from coordinator.compiling.families.weight_gradient import Geometry, weight_gradient
from coordinator.compiling.lowering import lowers
from runtime.errors import LoweringError


@frozen
class _Window:
    """The attributes of a convolution, one number per spatial axis."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    @classmethod
    def of(
        cls,
        rank: int,
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        groups: int,
    ) -> _Window:
        return cls(_each(stride, rank), _each(padding, rank), _each(dilation, rank), groups)

    def extent(self, kernel: Sequence[int]) -> tuple[int, ...]:
        """How much further than one position the dilated kernel reaches."""
        return tuple(d * (k - 1) for d, k in zip(self.dilation, kernel, strict=True))


def _each(values: Sequence[int], rank: int) -> tuple[int, ...]:
    return tuple(values) * rank if len(values) == 1 else tuple(values)


def _conv(g: Emitter, window: _Window, x: Operand, weight: Operand, *bias: Operand) -> str:
    return g.op(
        "Conv",
        x,
        weight,
        *bias,
        strides=list(window.stride),
        pads=[*window.padding, *window.padding],
        dilations=list(window.dilation),
        group=window.groups,
    )


def _conv_transpose(
    g: Emitter, window: _Window, size: Sequence[int], x: Tensor, weight: Tensor, *bias: Operand
) -> str:
    """The transpose of a convolution, whose result has the spatial shape `size`."""
    reach = window.extent(weight.shape[2:])
    least = [
        (n - 1) * s - 2 * p + r + 1
        for n, s, p, r in zip(x.shape[2:], window.stride, window.padding, reach, strict=True)
    ]
    return g.op(
        "ConvTranspose",
        x,
        weight,
        *bias,
        strides=list(window.stride),
        pads=[*window.padding, *window.padding],
        dilations=list(window.dilation),
        group=window.groups,
        output_padding=[n - m for n, m in zip(size, least, strict=True)],
    )


@lowers("convolution.default")
def convolution(
    g: Emitter,
    out: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool,
    output_padding: list[int],
    groups: int,
) -> Result:
    window = _Window.of(x.rank - 2, stride, padding, dilation, groups)
    biases = [] if bias is None else [bias]
    if transposed:
        return _conv_transpose(g, window, out.shape[2:], x, weight, *biases)
    return _conv(g, window, x, weight, *biases)


@lowers("convolution_backward.default")
def convolution_backward(
    g: Emitter,
    out: tuple[Tensor | None, ...],
    dy: Tensor,
    x: Tensor,
    weight: Tensor,
    bias_sizes: list[int] | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool,
    output_padding: list[int],
    groups: int,
    mask: list[bool],
) -> Result:
    if transposed and groups != 1:
        raise LoweringError("aten.convolution_backward", "of a grouped transposed convolution")
    window = _Window.of(x.rank - 2, stride, padding, dilation, groups)
    wide, narrow = (dy, x) if transposed else (x, dy)
    geometry = Geometry(weight.shape, window.stride, window.padding, window.dilation, window.groups)
    input_gradient = _conv if transposed else None
    return (
        None
        if not mask[0]
        else (
            input_gradient(g, window, dy, weight)
            if input_gradient
            else _input_gradient(g, window, dy, x, weight)
        ),
        weight_gradient(g, geometry, wide, narrow) if mask[1] else None,
        g.reduce("ReduceSum", dy, [0, *range(2, dy.rank)], keep=False) if mask[2] else None,
    )


def _input_gradient(g: Emitter, window: _Window, dy: Tensor, x: Tensor, weight: Tensor) -> str:
    unit = (1,) * (x.rank - 2)
    pointwise = weight.shape[2:] == unit and window.padding == (0,) * len(unit)
    if pointwise and window.stride == unit and window.groups == 1:
        turned = g.transpose(weight, [1, 0, *range(2, weight.rank)])
        return _conv(g, _Window(unit, window.padding, unit, 1), dy, turned)
    depthwise = window.groups == x.shape[1] == weight.shape[0]
    if depthwise and window.stride == unit:
        return _depthwise_input_gradient(g, window, dy, weight)
    return _conv_transpose(g, window, x.shape[2:], dy, weight)


def _depthwise_input_gradient(g: Emitter, window: _Window, dy: Tensor, weight: Tensor) -> str:
    """A depthwise convolution with the kernels turned by half a circle."""
    axes = list(range(2, weight.rank))
    flat = Tensor(weight.name, weight.shape, weight.dtype)
    ends = [-weight.shape[axis] - 1 for axis in axes]
    turned = g.slice(flat, axes, [-1] * len(axes), ends, [-1] * len(axes))
    reach = window.extent(weight.shape[2:])
    padding = tuple(r - p for r, p in zip(reach, window.padding, strict=True))
    if min(padding) < 0:
        raise LoweringError("aten.convolution_backward", "padding wider than the kernel")
    return _conv(g, _Window(window.stride, padding, window.dilation, window.groups), dy, turned)
