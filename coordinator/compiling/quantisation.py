"""What travels in place of the activation at the cut, appended to the forward graph.

The arithmetic is that of `runtime.codecs`, without noise; in the graph it takes a third of the
time that numpy needs.
"""

from __future__ import annotations

import numpy as np

from coordinator.compiling.emitter import Emitter, Tensor
from runtime.codecs import channel_axis
from runtime.program import Codec

_LARGEST_HALF = float(np.finfo(np.float16).max)
_LEAST_SCALE = float(np.finfo(np.float32).tiny)


def append_codec(g: Emitter, smashed: Tensor, codec: Codec) -> tuple[Tensor, ...]:
    """Emits the wire parts of `smashed` and returns them; int8 is (q, scale, zero)."""
    if codec == "fp32":
        return (smashed,)
    if codec == "fp16":
        return (_half(g, smashed),)
    return _affine(g, smashed)


def part_names(codec: Codec) -> tuple[str, ...]:
    """Returns the names under which the parts travel, in the order of `append_codec`."""
    return ("smashed.q", "smashed.scale", "smashed.zero") if codec == "int8" else ("smashed",)


def _half(g: Emitter, smashed: Tensor) -> Tensor:
    held = g.op("Clip", smashed, g.scalar(-_LARGEST_HALF), g.scalar(_LARGEST_HALF))
    name = g.cast(Tensor(held, smashed.shape, smashed.dtype), "float16")
    return Tensor(name, smashed.shape, "float16")


def _affine(g: Emitter, smashed: Tensor) -> tuple[Tensor, ...]:
    axis = channel_axis(smashed.shape)
    scales = (1,) if axis is None else (smashed.shape[axis],)
    others = [place for place in range(smashed.rank) if place != axis]
    zero = g.scalar(0.0)
    least = g.op("Min", g.reduce("ReduceMin", smashed, others, keep=False), zero)
    most = g.op("Max", g.reduce("ReduceMax", smashed, others, keep=False), zero)
    step = g.op("Div", g.op("Sub", most, least), g.scalar(255.0))
    # A channel that is zero throughout has no range to divide by.
    usable = g.op("Max", step, g.scalar(_LEAST_SCALE))
    # The extremes skip NaN; a sum does not, and lets the scale tell of it.
    total = g.reduce("ReduceSum", smashed, others, keep=False)
    scale = g.reshape(g.op("Add", usable, g.op("Mul", total, g.scalar(0.0))), scales)
    place = g.op("Round", g.op("Div", g.op("Neg", g.reshape(least, scales)), scale))
    point = g.cast(Tensor(place, scales, "float32"), "uint8")
    q = g.op("QuantizeLinear", smashed, scale, point, axis=axis or 0)
    return (
        Tensor(q, smashed.shape, "uint8"),
        Tensor(scale, scales, "float32"),
        Tensor(point, scales, "uint8"),
    )
