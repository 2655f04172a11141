"""Views, permutations, slices and concatenations."""

from __future__ import annotations

from collections.abc import Sequence

from coordinator.compiling.emitter import Emitter, Result, Tensor
from coordinator.compiling.lowering import aliases, lowers
from runtime.errors import LoweringError

_TO_THE_END = 2**62

aliases(
    "alias.default",
    "clone.default",
    "contiguous.default",
    "detach.default",
    "lift_fresh_copy.default",
)


@lowers(
    "view.default",
    "_unsafe_view.default",
    "reshape.default",
    "unsqueeze.default",
    "squeeze.default",
    "squeeze.dim",
    "squeeze.dims",
)
def view(g: Emitter, out: Tensor, x: Tensor, *_: object) -> Result:
    return g.reshape(x, out.shape)


@lowers("as_strided.default")
def as_strided(
    g: Emitter, out: Tensor, x: Tensor, size: list[int], stride: list[int], offset: int | None
) -> Result:
    step = 1
    contiguous: list[int] = []
    for length in reversed(size):
        contiguous.insert(0, step)
        step *= length
    dense = all(a == b for a, b, n in zip(stride, contiguous, size, strict=True) if n > 1)
    if offset or not dense:
        raise LoweringError("aten.as_strided", "of anything but a contiguous tensor")
    return g.reshape(x, out.shape)


@lowers("t.default")
def t(g: Emitter, _: Tensor, x: Tensor) -> Result:
    return g.transpose(x, list(range(x.rank))[::-1])


@lowers("transpose.int")
def transpose(g: Emitter, _: Tensor, x: Tensor, first: int, second: int) -> Result:
    order = list(range(x.rank))
    order[first], order[second] = order[second], order[first]
    return g.transpose(x, order)


@lowers("permute.default")
def permute(g: Emitter, _: Tensor, x: Tensor, order: list[int]) -> Result:
    return g.transpose(x, [axis % x.rank for axis in order])


@lowers("expand.default")
def expand(g: Emitter, out: Tensor, x: Tensor, *_: object) -> Result:
    if out.shape == x.shape:
        return x.name
    return g.op("Expand", x, g.ints(out.shape))


@lowers("repeat.default")
def repeat(g: Emitter, out: Tensor, x: Tensor, repeats: list[int]) -> Result:
    wide = g.reshape(x, [1] * (len(repeats) - x.rank) + list(x.shape))
    return g.op("Tile", wide, g.ints(repeats))


@lowers("cat.default")
def cat(g: Emitter, out: Tensor, parts: Sequence[Tensor], axis: int) -> Result:
    full = [g.cast(part, out.dtype) for part in parts if part.shape != (0,)]
    return full[0] if len(full) == 1 else g.op("Concat", *full, axis=axis % out.rank)


@lowers("stack.default")
def stack(g: Emitter, out: Tensor, parts: Sequence[Tensor], axis: int) -> Result:
    axis %= out.rank
    layers = [g.reshape(part, (*part.shape[:axis], 1, *part.shape[axis:])) for part in parts]
    return g.op("Concat", *layers, axis=axis)


@lowers("slice.Tensor")
def slice_tensor(
    g: Emitter, out: Tensor, x: Tensor, axis: int, start: int | None, end: int | None, step: int
) -> Result:
    if out.shape == x.shape:
        return x.name
    last = _TO_THE_END if end is None else end
    return g.slice(x, [axis % x.rank], [start or 0], [last], [step])


@lowers("select.int")
def select(g: Emitter, _: Tensor, x: Tensor, axis: int, index: int) -> Result:
    return g.op("Gather", x, g.scalar(index, "int64"), axis=axis % x.rank)


@lowers("split.Tensor", "split_with_sizes.default")
def split(g: Emitter, out: tuple[Tensor, ...], x: Tensor, _: int | list[int], axis: int) -> Result:
    axis %= x.rank
    sizes = g.ints(part.shape[axis] for part in out)
    return g.ops("Split", len(out), x, sizes, axis=axis)


@lowers("unbind.int")
def unbind(g: Emitter, out: tuple[Tensor, ...], x: Tensor, axis: int) -> Result:
    axis %= x.rank
    parts = g.ops("Split", len(out), x, g.ints([1] * len(out)), axis=axis)
    return tuple(g.reshape(part, about.shape) for part, about in zip(parts, out, strict=True))


@lowers("slice_backward.default")
def slice_backward(
    g: Emitter, out: Tensor, dy: Tensor, _: list[int], axis: int, start: int, end: int, step: int
) -> Result:
    axis %= out.rank
    length = out.shape[axis]
    start = max(start + length, 0) if start < 0 else min(start, length)
    spread = _spread(g, dy, axis, step)
    return _padded(g, spread, axis, start, length - start - spread.shape[axis])


def _spread(g: Emitter, x: Tensor, axis: int, step: int) -> Tensor:
    """Puts `step - 1` zeros between neighbours along an axis."""
    if step == 1:
        return x
    count = x.shape[axis]
    apart = (*x.shape[: axis + 1], 1, *x.shape[axis + 1 :])
    padded = _padded(g, Tensor(g.reshape(x, apart), apart, x.dtype), axis + 1, 0, step - 1)
    shape = (*x.shape[:axis], (count - 1) * step + 1, *x.shape[axis + 1 :])
    joined = g.reshape(padded, (*x.shape[:axis], count * step, *x.shape[axis + 1 :]))
    return Tensor(g.slice(joined, [axis], [0], [shape[axis]], [1]), shape, x.dtype)


@lowers("select_backward.default")
def select_backward(
    g: Emitter, out: Tensor, dy: Tensor, _: list[int], axis: int, index: int
) -> Result:
    axis, index = axis % out.rank, index % out.shape[axis]
    layer = (*dy.shape[:axis], 1, *dy.shape[axis:])
    flat = Tensor(g.reshape(dy, layer), layer, dy.dtype)
    return _padded(g, flat, axis, index, out.shape[axis] - index - 1)


def _padded(g: Emitter, x: Tensor, axis: int, before: int, after: int) -> str:
    pads = [0] * (2 * x.rank)
    pads[axis], pads[x.rank + axis] = before, after
    return g.op("Pad", x, g.ints(pads))


@lowers("constant_pad_nd.default")
def constant_pad(g: Emitter, out: Tensor, x: Tensor, pad: list[int], value: float) -> Result:
    before, after = [0] * x.rank, [0] * x.rank
    for place in range(len(pad) // 2):
        before[-1 - place], after[-1 - place] = pad[2 * place], pad[2 * place + 1]
    return g.op("Pad", x, g.ints([*before, *after]), g.scalar(value, out.dtype))


@lowers("flip.default")
def flip(g: Emitter, _: Tensor, x: Tensor, axes: list[int]) -> Result:
    count = len(axes)
    places = [axis % x.rank for axis in axes]
    return g.slice(x, places, [-1] * count, [-_TO_THE_END] * count, [-1] * count)
