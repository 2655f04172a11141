"""The lowerings, one module per family of operators; importing this fills the table."""

from __future__ import annotations

from coordinator.compiling.families import (
    activation,
    convolution,
    embedding,
    loss,
    matmul,
    normalisation,
    pointwise,
    pooling,
    reduction,
    resize,
    shapes,
)
from coordinator.compiling.lowering import LOWERINGS

__all__ = [
    "LOWERINGS",
    "activation",
    "convolution",
    "embedding",
    "loss",
    "matmul",
    "normalisation",
    "pointwise",
    "pooling",
    "reduction",
    "resize",
    "shapes",
]
