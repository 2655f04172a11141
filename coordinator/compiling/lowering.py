"""The table of lowerings: ATen operator to the function that emits its ONNX nodes.

A lowering takes the emitter, a description of the result, and the operator's arguments in the
order of its schema with defaults filled in; tensors arrive as `Tensor`s. It returns the name of
the result, or one name (or None) for each of several results.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coordinator.compiling.emitter import Emitter, Result

Lowering = Callable[..., "Result"]

LOWERINGS: dict[str, Lowering] = {}


def lowers(*operators: str) -> Callable[[Lowering], Lowering]:
    """Enters a function in the table under the names of ATen operators, as `relu.default`."""

    def enter(lowering: Lowering) -> Lowering:
        for operator in operators:
            LOWERINGS[f"aten.{operator}"] = lowering
        return lowering

    return enter


def aliases(*operators: str) -> None:
    """Declares operators whose result is their first argument: nothing is emitted for them."""

    def same(_: Emitter, __: Any, x: Any, *___: Any) -> Result:
        name: str = x.name
        return name

    lowers(*operators)(same)
