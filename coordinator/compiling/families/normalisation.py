"""Batch and layer normalisation, forward and backward."""

from __future__ import annotations

import math

import numpy as np

from coordinator.compiling.emitter import Emitter, Operand, Result, Tensor
from coordinator.compiling.lowering import lowers


def _or_fill(g: Emitter, tensor: Tensor | None, size: int, value: float) -> str:
    if tensor is not None:
        return tensor.name
    return g.constant(np.full(size, value, np.float32))


def _count(x: Tensor) -> int:
    """How many values of a channel a batch holds."""
    return math.prod(x.shape) // x.shape[1]


def _inverse_std(g: Emitter, variance: Operand, eps: float) -> str:
    return g.op("Reciprocal", g.op("Sqrt", g.op("Add", variance, g.scalar(eps))))


def _per_channel(g: Emitter, x: Operand, scale: str, offset: str, channels: int) -> str:
    """scale * x + offset in one pass, as a normalisation that has nothing to normalise."""
    zeros, ones = _or_fill(g, None, channels, 0.0), _or_fill(g, None, channels, 1.0)
    return g.op("BatchNormalization", x, scale, offset, zeros, ones, epsilon=0.0)


def _batch_statistics(
    g: Emitter,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    scratch: tuple[str, str],
    eps: float,
) -> tuple[str, str, str]:
    """Returns the normalised tensor, the mean and the biased variance of each channel.

    onnxruntime writes the two statistics over the node's two running inputs, be they constants
    or the caller's arrays. `scratch` are two [C] tensors that nothing else reads.
    """
    channels = x.shape[1]
    scale, offset = _or_fill(g, weight, channels, 1.0), _or_fill(g, bias, channels, 0.0)
    # With momentum 0 the two running outputs are the statistics of this batch.
    normal, mean, variance = g.ops(
        "BatchNormalization",
        3,
        x,
        scale,
        offset,
        *scratch,
        epsilon=eps,
        momentum=0.0,
        training_mode=1,
    )
    return normal, mean, variance


def _moved(g: Emitter, old: Tensor, new: str, momentum: float, scale: float = 1.0) -> str:
    kept = g.op("Mul", old, g.scalar(1.0 - momentum))
    return g.op("Add", kept, g.op("Mul", new, g.scalar(momentum * scale)))


@lowers("_native_batch_norm_legit_functional.default")
def batch_norm(
    g: Emitter,
    _: object,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor,
    running_variance: Tensor,
    training: bool,
    momentum: float,
    eps: float,
) -> Result:
    if not training:
        normal = _frozen(g, x, weight, bias, running_mean, running_variance, eps)
        nothing = _or_fill(g, None, 0, 0.0)
        return normal, nothing, nothing, running_mean.name, running_variance.name
    scratch = (g.op("Neg", running_mean), g.op("Neg", running_variance))
    normal, mean, variance = _batch_statistics(g, x, weight, bias, scratch, eps)
    unbiased = _count(x) / max(_count(x) - 1, 1)
    return (
        normal,
        mean,
        _inverse_std(g, variance, eps),
        _moved(g, running_mean, mean, momentum),
        _moved(g, running_variance, variance, momentum, unbiased),
    )


@lowers("_native_batch_norm_legit.no_stats")
def batch_norm_without_history(
    g: Emitter,
    _: object,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Result:
    axes = [axis for axis in range(x.rank) if axis != 1]
    scratch = (
        g.reduce("ReduceMax", x, axes, keep=False),
        g.reduce("ReduceMin", x, axes, keep=False),
    )
    normal, mean, variance = _batch_statistics(g, x, weight, bias, scratch, eps)
    return normal, mean, _inverse_std(g, variance, eps)


@lowers("_native_batch_norm_legit_no_training.default")
def batch_norm_frozen(
    g: Emitter,
    _: object,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor,
    running_variance: Tensor,
    momentum: float,
    eps: float,
) -> Result:
    nothing = _or_fill(g, None, 0, 0.0)
    return _frozen(g, x, weight, bias, running_mean, running_variance, eps), nothing, nothing


def _frozen(
    g: Emitter,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    eps: float,
) -> str:
    channels = x.shape[1]
    scale, offset = _or_fill(g, weight, channels, 1.0), _or_fill(g, bias, channels, 0.0)
    return g.op("BatchNormalization", x, scale, offset, mean, variance, epsilon=eps)


@lowers("native_batch_norm_backward.default")
def batch_norm_backward(
    g: Emitter,
    _: object,
    dy: Tensor,
    x: Tensor,
    weight: Tensor | None,
    running_mean: Tensor | None,
    running_variance: Tensor | None,
    saved_mean: Tensor | None,
    saved_inverse_std: Tensor | None,
    training: bool,
    eps: float,
    mask: list[bool],
) -> Result:
    """With s1 = sum(dy), s2 = sum(dy x): dx = a dy + b x + c, all of them per channel."""
    channels, count = x.shape[1], _count(x)
    axes = [axis for axis in range(x.rank) if axis != 1]
    mean: Operand | None = saved_mean if training else running_mean
    inverse_std: Operand | None = saved_inverse_std
    if not training and running_variance is not None:
        inverse_std = _inverse_std(g, running_variance, eps)
    assert mean is not None and inverse_std is not None
    s1 = g.reduce("ReduceSum", dy, axes, keep=False)
    s2 = g.reduce("ReduceSum", g.op("Mul", dy, x), axes, keep=False)
    dweight = g.op("Mul", inverse_std, g.op("Sub", s2, g.op("Mul", mean, s1)))
    a = g.op("Mul", _or_fill(g, weight, channels, 1.0), inverse_std)
    if not training:
        zeros = _or_fill(g, None, channels, 0.0)
        return _per_channel(g, dy, a, zeros, channels), dweight, s1
    shared = g.op("Mul", a, g.scalar(-1.0 / count))
    b = g.op("Mul", g.op("Mul", shared, inverse_std), dweight)
    c = g.op("Sub", g.op("Mul", shared, s1), g.op("Mul", b, mean))
    from_x = _per_channel(g, x, b, c, channels)
    from_dy = _per_channel(g, dy, a, _or_fill(g, None, channels, 0.0), channels)
    return g.op("Add", from_dy, from_x), dweight, s1


@lowers("native_layer_norm.default")
def layer_norm(
    g: Emitter,
    _: object,
    x: Tensor,
    shape: list[int],
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
) -> Result:
    ones = weight or Tensor(g.constant(np.ones(shape, np.float32)), tuple(shape), "float32")
    offset = [] if bias is None else [bias]
    return g.ops("LayerNormalization", 3, x, ones, *offset, axis=-len(shape), epsilon=eps)


@lowers("native_layer_norm_backward.default")
def layer_norm_backward(
    g: Emitter,
    _: object,
    dy: Tensor,
    x: Tensor,
    shape: list[int],
    mean: Tensor,
    inverse_std: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mask: list[bool],
) -> Result:
    outer = list(range(x.rank - len(shape)))
    inner = list(range(x.rank - len(shape), x.rank))
    normal = g.op("Mul", g.op("Sub", x, mean), inverse_std)
    weighted = dy.name if weight is None else g.op("Mul", dy, weight)
    level = g.reduce("ReduceMean", weighted, inner, keep=True)
    tilt = g.reduce("ReduceMean", g.op("Mul", weighted, normal), inner, keep=True)
    rest = g.op("Sub", g.op("Sub", weighted, level), g.op("Mul", normal, tilt))
    dx = g.op("Mul", rest, inverse_std)
    dweight = g.reduce("ReduceSum", g.op("Mul", dy, normal), outer, keep=False)
    return dx, dweight, g.reduce("ReduceSum", dy, outer, keep=False)
