"""How a float32 tensor becomes the parts that travel, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence

# Below this many values a channel's scale and zero point weigh more than they gain.
_LEAST_VALUES_PER_CHANNEL = 256


def channel_axis(shape: Sequence[int]) -> int | None:
    """Returns the axis along which int8 keeps a scale per entry, or None for one scale in all.

    Axis 1 where each of its entries has at least 256 values over the whole tensor.
    """
    if len(shape) < 2 or shape[1] == 0:
        return None
    return 1 if math.prod(shape) // shape[1] >= _LEAST_VALUES_PER_CHANNEL else None
