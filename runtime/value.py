"""Classes of values that never change, for those that are made with every message."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import attrs

__all__ = ["value"]

if TYPE_CHECKING:
    from attrs import frozen as value
else:
    # The type checker alone keeps instances from being changed. Looking after that at run time too
    # makes them four times as dear, and some forty are made in each step of a board.
    value = partial(attrs.define, unsafe_hash=True, on_setattr=attrs.setters.NO_OP)
