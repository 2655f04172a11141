"""Tables looked up by index."""

from __future__ import annotations

import math

from coordinator.compiling.emitter import Emitter, Result, Tensor
from coordinator.compiling.lowering import lowers
from runtime.errors import LoweringError


@lowers("embedding.default")
def embedding(g: Emitter, _: Tensor, table: Tensor, indices: Tensor, *__: object) -> Result:
    return g.op("Gather", table, indices, axis=0)


@lowers("embedding_dense_backward.default")
def embedding_dense_backward(
    g: Emitter, out: Tensor, dy: Tensor, indices: Tensor, rows: int, padding: int, by_count: bool
) -> Result:
    if by_count:
        raise LoweringError("aten.embedding_dense_backward", "scale_grad_by_freq")
    count, width = math.prod(indices.shape), out.shape[-1]
    places = g.reshape(indices, (count, 1))
    updates = g.reshape(dy, (count, width))
    if padding >= 0:
        kept = g.op("Not", g.op("Equal", places, g.scalar(padding, indices.dtype)))
        updates = g.op("Where", kept, updates, g.scalar(0.0))
    table = g.op("Expand", g.scalar(0.0), g.ints(out.shape))
    return g.op("ScatterND", table, places, updates, reduction="add")


@lowers("gather.default")
def gather(g: Emitter, _: Tensor, x: Tensor, axis: int, places: Tensor, *__: object) -> Result:
    return g.op("GatherElements", x, places, axis=axis)
