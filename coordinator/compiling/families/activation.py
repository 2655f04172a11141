"""Activation functions and their derivatives."""

from __future__ import annotations

import math

from coordinator.compiling.emitter import Emitter, Operand, Result, Tensor
from coordinator.compiling.lowering import lowers

# HardSigmoid with this slope is 0 at and below zero and 1 above: one pass over memory, where a
# comparison and a choice take two and a bool tensor.
_STEEP = 3e38


def _positive(g: Emitter, x: Operand) -> str:
    return g.op("HardSigmoid", x, alpha=_STEEP, beta=0.0)


def _affine(g: Emitter, x: Operand, scale: float, offset: float) -> str:
    return g.op("Add", g.op("Mul", x, g.scalar(scale)), g.scalar(offset))


@lowers("relu.default")
def relu(g: Emitter, _: Tensor, x: Tensor) -> Result:
    return g.op("Relu", x)


@lowers("threshold_backward.default")
def threshold_backward(g: Emitter, _: Tensor, dy: Tensor, x: Tensor, threshold: float) -> Result:
    shifted = x.name if threshold == 0 else g.op("Sub", x, g.scalar(threshold))
    return g.op("Mul", dy, _positive(g, shifted))


@lowers("threshold.default")
def threshold(g: Emitter, _: Tensor, x: Tensor, bound: float, value: float) -> Result:
    return g.op("Where", g.op("Greater", x, g.scalar(bound)), x, g.scalar(value))


@lowers("hardtanh.default")
def hardtanh(g: Emitter, _: Tensor, x: Tensor, low: float, high: float) -> Result:
    return g.op("Clip", x, g.scalar(low), g.scalar(high))


@lowers("hardtanh_backward.default")
def hardtanh_backward(
    g: Emitter, _: Tensor, dy: Tensor, x: Tensor, low: float, high: float
) -> Result:
    above = x.name if low == 0 else g.op("Sub", x, g.scalar(low))
    inside = g.op("Mul", above, g.op("Sub", g.scalar(high), x))
    return g.op("Mul", dy, _positive(g, inside))


@lowers("hardsigmoid.default")
def hardsigmoid(g: Emitter, _: Tensor, x: Tensor) -> Result:
    return g.op("HardSigmoid", x, alpha=1 / 6, beta=0.5)


@lowers("hardsigmoid_backward.default")
def hardsigmoid_backward(g: Emitter, _: Tensor, dy: Tensor, x: Tensor) -> Result:
    inside = g.op("Less", g.op("Abs", x), g.scalar(3.0))
    return g.op("Where", inside, g.op("Mul", dy, g.scalar(1 / 6)), g.scalar(0.0))


@lowers("hardswish.default")
def hardswish(g: Emitter, _: Tensor, x: Tensor) -> Result:
    return g.op("HardSwish", x)


@lowers("hardswish_backward.default")
def hardswish_backward(g: Emitter, _: Tensor, dy: Tensor, x: Tensor) -> Result:
    inside = g.op("LessOrEqual", g.op("Abs", x), g.scalar(3.0))
    slope = g.op("Where", inside, _affine(g, x, 1 / 3, 0.5), _positive(g, x))
    return g.op("Mul", dy, slope)


@lowers("sigmoid_backward.default")
def sigmoid_backward(g: Emitter, _: Tensor, dy: Tensor, y: Tensor) -> Result:
    return g.op("Mul", dy, g.op("Mul", y, g.op("Sub", g.scalar(1.0), y)))


@lowers("tanh_backward.default")
def tanh_backward(g: Emitter, _: Tensor, dy: Tensor, y: Tensor) -> Result:
    return g.op("Mul", dy, g.op("Sub", g.scalar(1.0), g.op("Mul", y, y)))


@lowers("silu.default")
def silu(g: Emitter, _: Tensor, x: Tensor) -> Result:
    return g.op("Mul", x, g.op("Sigmoid", x))


@lowers("silu_backward.default")
def silu_backward(g: Emitter, _: Tensor, dy: Tensor, x: Tensor) -> Result:
    gate = g.op("Sigmoid", x)
    rest = g.op("Mul", x, g.op("Sub", g.scalar(1.0), gate))
    slope = g.op("Mul", gate, g.op("Add", g.scalar(1.0), rest))
    return g.op("Mul", dy, slope)


@lowers("mish.default")
def mish(g: Emitter, _: Tensor, x: Tensor) -> Result:
    return g.op("Mul", x, g.op("Tanh", g.op("Softplus", x)))


@lowers("mish_backward.default")
def mish_backward(g: Emitter, _: Tensor, dy: Tensor, x: Tensor) -> Result:
    gate = g.op("Tanh", g.op("Softplus", x))
    rest = g.op("Sub", g.scalar(1.0), g.op("Mul", gate, gate))
    slope = g.op("Add", gate, g.op("Mul", g.op("Mul", x, g.op("Sigmoid", x)), rest))
    return g.op("Mul", dy, slope)


@lowers("gelu.default")
def gelu(g: Emitter, _: Tensor, x: Tensor, approximate: str) -> Result:
    return g.op("Gelu", x, approximate=approximate)


@lowers("gelu_backward.default")
def gelu_backward(g: Emitter, _: Tensor, dy: Tensor, x: Tensor, approximate: str) -> Result:
    slope = _gelu_slope_tanh(g, x) if approximate == "tanh" else _gelu_slope(g, x)
    return g.op("Mul", dy, slope)


def _gelu_slope(g: Emitter, x: Tensor) -> str:
    """Phi(x) + x phi(x), of the normal distribution."""
    phi = _affine(g, g.op("Erf", g.op("Mul", x, g.scalar(math.sqrt(0.5)))), 0.5, 0.5)
    bell = g.op("Exp", g.op("Mul", g.op("Mul", x, x), g.scalar(-0.5)))
    density = g.op("Mul", bell, g.scalar(1 / math.sqrt(2 * math.pi)))
    return g.op("Add", phi, g.op("Mul", x, density))


def _gelu_slope_tanh(g: Emitter, x: Tensor) -> str:
    """The derivative of x (1 + tanh(k (x + 0.044715 x^3))) / 2."""
    k = math.sqrt(2 / math.pi)
    square = g.op("Mul", x, x)
    inner = g.op("Mul", x, _affine(g, square, 0.044715 * k, k))
    bend = g.op("Tanh", inner)
    rise = g.op("Mul", x, _affine(g, square, 3 * 0.044715 * k, k))
    curve = g.op("Mul", rise, g.op("Sub", g.scalar(1.0), g.op("Mul", bend, bend)))
    return _affine(g, g.op("Add", bend, curve), 0.5, 0.5)


@lowers("elu.default")
def elu(g: Emitter, _: Tensor, x: Tensor, alpha: float, scale: float, input_scale: float) -> Result:
    """Covers SELU and CELU: scale (max(0, x) + alpha (exp(min(0, input_scale x)) - 1))."""
    low = g.op("Min", g.op("Mul", x, g.scalar(input_scale)), g.scalar(0.0))
    tail = g.op("Mul", g.op("Sub", g.op("Exp", low), g.scalar(1.0)), g.scalar(alpha * scale))
    return g.op("Add", g.op("Mul", g.op("Relu", x), g.scalar(scale)), tail)


@lowers("celu.default")
def celu(g: Emitter, out: Tensor, x: Tensor, alpha: float) -> Result:
    return elu(g, out, x, alpha, 1.0, 1.0 / alpha)


@lowers("elu_backward.default")
def elu_backward(
    g: Emitter,
    _: Tensor,
    dy: Tensor,
    alpha: float,
    scale: float,
    input_scale: float,
    is_result: bool,
    x: Tensor,
) -> Result:
    if is_result:
        tail = _affine(g, x, input_scale, input_scale * alpha * scale)
    else:
        bend = g.op("Exp", g.op("Mul", x, g.scalar(input_scale)))
        tail = g.op("Mul", bend, g.scalar(input_scale * alpha * scale))
    positive = g.op("Greater", x, g.scalar(0.0))
    return g.op("Mul", dy, g.op("Where", positive, g.scalar(scale), tail))


@lowers("leaky_relu.default")
def leaky_relu(g: Emitter, _: Tensor, x: Tensor, slope: float) -> Result:
    return g.op("LeakyRelu", x, alpha=slope)


@lowers("leaky_relu_backward.default")
def leaky_relu_backward(
    g: Emitter, _: Tensor, dy: Tensor, x: Tensor, slope: float, is_result: bool
) -> Result:
    return g.op("Mul", dy, _affine(g, _positive(g, x), 1 - slope, slope))


@lowers("softplus.default")
def softplus(g: Emitter, _: Tensor, x: Tensor, beta: float, threshold: float) -> Result:
    scaled = g.op("Mul", x, g.scalar(beta))
    smooth = g.op("Div", g.op("Softplus", scaled), g.scalar(beta))
    return g.op("Where", g.op("Greater", scaled, g.scalar(threshold)), x, smooth)


@lowers("softplus_backward.default")
def softplus_backward(
    g: Emitter, _: Tensor, dy: Tensor, x: Tensor, beta: float, threshold: float
) -> Result:
    scaled = g.op("Mul", x, g.scalar(beta))
    linear = g.op("Greater", scaled, g.scalar(threshold))
    return g.op("Where", linear, dy, g.op("Mul", dy, g.op("Sigmoid", scaled)))


@lowers("_softmax.default", "_safe_softmax.default")
def softmax(g: Emitter, _: Tensor, x: Tensor, axis: int, *__: object) -> Result:
    return g.op("Softmax", x, axis=axis)


@lowers("_softmax_backward_data.default")
def softmax_backward(
    g: Emitter, _: Tensor, dy: Tensor, y: Tensor, axis: int, *__: object
) -> Result:
    product = g.op("Mul", dy, y)
    total = g.reduce("ReduceSum", product, [axis], keep=True)
    return g.op("Sub", product, g.op("Mul", y, total))


@lowers("_log_softmax.default")
def log_softmax(g: Emitter, _: Tensor, x: Tensor, axis: int, *__: object) -> Result:
    return g.op("LogSoftmax", x, axis=axis)


@lowers("_log_softmax_backward_data.default")
def log_softmax_backward(
    g: Emitter, _: Tensor, dy: Tensor, y: Tensor, axis: int, *__: object
) -> Result:
    total = g.reduce("ReduceSum", dy, [axis], keep=True)
    return g.op("Sub", dy, g.op("Mul", g.op("Exp", y), total))
