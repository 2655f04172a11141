"""Matrix products. A transposed operand is read in place by Gemm, never written out."""

from __future__ import annotations

from coordinator.compiling.emitter import Emitter, Result, Tensor
from coordinator.compiling.lowering import lowers


def _gemm(g: Emitter, a: Tensor, b: Tensor, c: Tensor | None, beta: float, alpha: float) -> str:
    left, right = g.swapped(a), g.swapped(b)
    return g.op(
        "Gemm",
        left or a,
        right or b,
        *([] if c is None else [c]),
        transA=int(left is not None),
        transB=int(right is not None),
        alpha=float(alpha),
        beta=float(beta),
    )


@lowers("mm.default")
def mm(g: Emitter, _: Tensor, a: Tensor, b: Tensor) -> Result:
    return _gemm(g, a, b, None, 1.0, 1.0)


@lowers("addmm.default")
def addmm(
    g: Emitter, _: Tensor, bias: Tensor, a: Tensor, b: Tensor, beta: float, alpha: float
) -> Result:
    return _gemm(g, a, b, bias, beta, alpha)


@lowers("bmm.default", "mv.default", "dot.default")
def bmm(g: Emitter, _: Tensor, a: Tensor, b: Tensor) -> Result:
    return g.op("MatMul", a, b)


@lowers("baddbmm.default")
def baddbmm(
    g: Emitter, _: Tensor, c: Tensor, a: Tensor, b: Tensor, beta: float, alpha: float
) -> Result:
    product = g.op("MatMul", a, b)
    if alpha != 1:
        product = g.op("Mul", product, g.scalar(alpha))
    term = c.name if beta == 1 else g.op("Mul", c, g.scalar(beta))
    return g.op("Add", term, product)
