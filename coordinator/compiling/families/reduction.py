"""Sums, means, extremes and variances over axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from coordinator.compiling.emitter import Emitter, Result, Tensor
from coordinator.compiling.lowering import Lowering, lowers


def _axes(x: Tensor, axes: Sequence[int] | int | None) -> list[int]:
    if axes is None or axes == []:
        return list(range(x.rank))
    chosen = [axes] if isinstance(axes, int) else axes
    return sorted(axis % x.rank for axis in chosen) if x.rank else []


def _over_axes(kind: str) -> Lowering:
    def lowering(
        g: Emitter,
        out: Tensor,
        x: Tensor,
        axes: Sequence[int] | int | None = None,
        keep: bool = False,
        *_: object,
    ) -> Result:
        return g.reduce(kind, g.cast(x, out.dtype), _axes(x, axes), keep=keep)

    return lowering


def _over_all(kind: str) -> Lowering:
    def lowering(g: Emitter, out: Tensor, x: Tensor, *_: object) -> Result:
        return g.reduce(kind, g.cast(x, out.dtype), _axes(x, None), keep=False)

    return lowering


lowers("sum.dim_IntList")(_over_axes("ReduceSum"))
lowers("amax.default")(_over_axes("ReduceMax"))
lowers("amin.default")(_over_axes("ReduceMin"))
lowers("sum.default")(_over_all("ReduceSum"))
lowers("mean.default")(_over_all("ReduceMean"))


@lowers("mean.dim")
def mean(g: Emitter, out: Tensor, x: Tensor, axes: list[int], keep: bool, *_: object) -> Result:
    chosen = _axes(x, axes)
    if keep and x.rank > 2 and chosen == list(range(2, x.rank)):
        return g.op("GlobalAveragePool", x)
    return g.reduce("ReduceMean", x, chosen, keep=keep)


@lowers("var_mean.correction")
def var_mean(
    g: Emitter, _: object, x: Tensor, axes: list[int], correction: float | None, keep: bool
) -> Result:
    chosen = _axes(x, axes)
    centre = g.reduce("ReduceMean", x, chosen, keep=True)
    spread = _variance(g, x, centre, chosen, correction, keep)
    return spread, centre if keep else g.reduce("ReduceMean", x, chosen, keep=False)


@lowers("var.correction")
def var(
    g: Emitter, _: Tensor, x: Tensor, axes: list[int], correction: float | None, keep: bool
) -> Result:
    chosen = _axes(x, axes)
    centre = g.reduce("ReduceMean", x, chosen, keep=True)
    return _variance(g, x, centre, chosen, correction, keep)


def _variance(
    g: Emitter, x: Tensor, centre: str, axes: list[int], correction: float | None, keep: bool
) -> str:
    offset = g.op("Sub", x, centre)
    total = g.reduce("ReduceSum", g.op("Mul", offset, offset), axes, keep=keep)
    count = math.prod(x.shape[axis] for axis in axes) - (1 if correction is None else correction)
    return g.op("Mul", total, g.scalar(1 / max(count, 1e-9)))
