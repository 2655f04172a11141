"""Arithmetic, comparison and choice, element by element, with broadcasting."""

from __future__ import annotations

from typing import Any

from coordinator.compiling.emitter import Emitter, Result, Tensor
from coordinator.compiling.lowering import Lowering, lowers
from runtime.errors import LoweringError


def operand(g: Emitter, value: Any, dtype: str) -> str:
    """Returns a tensor or a Python number as an operand of type `dtype`."""
    if isinstance(value, Tensor):
        return g.cast(value, dtype)
    return g.scalar(value, dtype)


def _binary(kind: str) -> Lowering:
    def lowering(g: Emitter, out: Tensor, x: Any, y: Any) -> Result:
        return g.op(kind, operand(g, x, out.dtype), operand(g, y, out.dtype))

    return lowering


def _scaled(kind: str) -> Lowering:
    def lowering(g: Emitter, out: Tensor, x: Any, y: Any, alpha: float = 1) -> Result:
        right = operand(g, y, out.dtype)
        if alpha != 1:
            right = g.op("Mul", right, g.scalar(alpha, out.dtype))
        return g.op(kind, operand(g, x, out.dtype), right)

    return lowering


def _unary(kind: str) -> Lowering:
    def lowering(g: Emitter, out: Tensor, x: Tensor) -> Result:
        return g.op(kind, g.cast(x, out.dtype))

    return lowering


def _comparison(kind: str) -> Lowering:
    def lowering(g: Emitter, _: Tensor, x: Tensor, y: Any) -> Result:
        right = y if isinstance(y, Tensor) else Tensor(g.scalar(y, x.dtype), (), x.dtype)
        dtype = x.dtype if x.dtype == right.dtype else "float32"
        return g.op(kind, g.cast(x, dtype), g.cast(right, dtype))

    return lowering


for _name, _kind in {
    "add": "Add",
    "sub": "Sub",
}.items():
    lowers(f"{_name}.Tensor", f"{_name}.Scalar")(_scaled(_kind))

for _name, _kind in {"mul": "Mul", "div": "Div"}.items():
    lowers(f"{_name}.Tensor", f"{_name}.Scalar")(_binary(_kind))

lowers("maximum.default")(_binary("Max"))
lowers("minimum.default")(_binary("Min"))

for _name, _kind in {
    "abs": "Abs",
    "ceil": "Ceil",
    "cos": "Cos",
    "erf": "Erf",
    "exp": "Exp",
    "floor": "Floor",
    "log": "Log",
    "neg": "Neg",
    "reciprocal": "Reciprocal",
    "round": "Round",
    "sigmoid": "Sigmoid",
    "sgn": "Sign",
    "sign": "Sign",
    "sin": "Sin",
    "sqrt": "Sqrt",
    "tanh": "Tanh",
}.items():
    lowers(f"{_name}.default")(_unary(_kind))

for _name, _kind in {
    "eq": "Equal",
    "ge": "GreaterOrEqual",
    "gt": "Greater",
    "le": "LessOrEqual",
    "lt": "Less",
}.items():
    lowers(f"{_name}.Tensor", f"{_name}.Scalar")(_comparison(_kind))


def _logical(kind: str) -> Lowering:
    def lowering(g: Emitter, _: Tensor, x: Tensor, y: Tensor) -> Result:
        return g.op(kind, g.cast(x, "bool"), g.cast(y, "bool"))

    return lowering


lowers("logical_and.default")(_logical("And"))
lowers("logical_or.default")(_logical("Or"))


@lowers("logical_not.default", "bitwise_not.default")
def logical_not(g: Emitter, _: Tensor, x: Tensor) -> Result:
    if x.dtype != "bool":
        raise LoweringError("aten.bitwise_not", "of integers")
    return g.op("Not", x)


@lowers("rsqrt.default")
def rsqrt(g: Emitter, _: Tensor, x: Tensor) -> Result:
    return g.op("Reciprocal", g.op("Sqrt", x))


@lowers("pow.Tensor_Scalar")
def power(g: Emitter, out: Tensor, x: Tensor, exponent: float) -> Result:
    base = g.cast(x, out.dtype)
    if exponent == 2:
        return g.op("Mul", base, base)
    return g.op("Pow", base, g.scalar(exponent, out.dtype))


@lowers("clamp.default")
def clamp(g: Emitter, out: Tensor, x: Tensor, low: float | None, high: float | None) -> Result:
    bounds = [None if bound is None else g.scalar(bound, out.dtype) for bound in (low, high)]
    return g.op("Clip", x, *bounds)


@lowers("where.self")
def where(g: Emitter, out: Tensor, condition: Tensor, x: Tensor, y: Tensor) -> Result:
    return g.op("Where", condition, g.cast(x, out.dtype), g.cast(y, out.dtype))


@lowers("masked_fill.Scalar")
def masked_fill(g: Emitter, out: Tensor, x: Tensor, mask: Tensor, value: float) -> Result:
    return g.op("Where", mask, g.scalar(value, out.dtype), x)


@lowers("_to_copy.default")
def to_copy(g: Emitter, out: Tensor, x: Tensor, *_: Any) -> Result:
    return g.cast(x, out.dtype)


@lowers("zeros_like.default", "new_zeros.default")
def zeros(g: Emitter, out: Tensor, *_: Any) -> Result:
    return g.op("Expand", g.scalar(0, out.dtype), g.ints(out.shape))


@lowers("ones_like.default", "new_ones.default")
def ones(g: Emitter, out: Tensor, *_: Any) -> Result:
    return g.op("Expand", g.scalar(1, out.dtype), g.ints(out.shape))


@lowers("full_like.default", "new_full.default")
def full(g: Emitter, out: Tensor, x: Tensor, *arguments: Any) -> Result:
    value = arguments[1] if isinstance(arguments[0], list) else arguments[0]
    return g.op("Expand", g.scalar(value, out.dtype), g.ints(out.shape))
