"""What is taken apart before lowering, and what is kept whole against torch's habit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch._decomp import get_decompositions

aten = torch.ops.aten

DECOMPOSITIONS: dict[Any, Callable[..., Any]] = get_decompositions(
    [
        aten.native_group_norm,
        aten.native_group_norm_backward,
        aten.pixel_shuffle,
        aten.pixel_unshuffle,
        aten.std.correction,
    ]
)

# While tracing, torch would take these apart into index and index_put; as whole operators
# they lower to two matrix products with constant interpolation weights.
_KEPT_WHOLE = (
    aten.upsample_nearest1d.vec,
    aten.upsample_nearest2d.vec,
    aten.upsample_bilinear2d.vec,
    aten.upsample_linear1d.vec,
    aten.upsample_nearest1d.default,
    aten.upsample_nearest2d.default,
    aten.upsample_bilinear2d.default,
    aten.upsample_linear1d.default,
)


@contextmanager
def composites_kept_whole() -> Iterator[None]:
    """Removes torch's Python kernels that would take `_KEPT_WHOLE` apart, then restores them."""
    removed: list[tuple[Any, Any, Any]] = []
    keys = (
        torch._C.DispatchKey.CompositeImplicitAutograd,
        torch._C.DispatchKey.Autograd,
    )
    for operator in _KEPT_WHOLE:
        for key in keys:
            if key in operator.py_kernels:
                removed.append((operator, key, operator.py_kernels.pop(key)))
        operator._dispatch_cache.clear()
    try:
        yield
    finally:
        for operator, key, kernel in removed:
            operator.py_kernels[key] = kernel
        for operator in _KEPT_WHOLE:
            operator._dispatch_cache.clear()
