"""New states out of old ones, for what changes with every message."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


def evolve(instance: T, **changes: Any) -> T:
    """Does what `attrs.evolve` does, in a quarter of its time.

    Only for frozen classes without slots, validators and converters: nothing is checked.
    """
    after = object.__new__(type(instance))
    fields = after.__dict__
    fields |= instance.__dict__
    fields |= changes
    return after
