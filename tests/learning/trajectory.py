"""What a run of training leaves behind, and whether two runs are the same training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

Array = NDArray[Any]
Arrays = Mapping[str, Array]

CONTROL_FACTOR = 10
WORST_WEIGHTS = 2e-2
WORST_LOSS = 1e-2


@frozen(eq=False)
class Trajectory:
    """The mean loss of each round; after the last: weights, buffers, and slots as `key#slot`."""

    losses: tuple[float, ...]
    weights: Arrays
    buffers: Arrays
    slots: Arrays

    @classmethod
    def of(
        cls, losses: Sequence[float], state: Mapping[str, Array], parameters: set[str]
    ) -> Trajectory:
        """Sorts a layer state into its three kinds."""
        slots = {key: array for key, array in state.items() if "#" in key}
        weights = {key: state[key] for key in state if key in parameters}
        buffers = {key: state[key] for key in state if key not in parameters | set(slots)}
        return cls(tuple(losses), weights, buffers, slots)


@frozen
class Distance:
    """How far two trajectories are apart: relative L2 of each kind, concatenated; worst loss."""

    weights: float
    buffers: float
    slots: float
    loss: float

    @classmethod
    def between(cls, found: Trajectory, expected: Trajectory) -> Distance:
        losses = np.array(expected.losses)
        return cls(
            weights=relative_l2(found.weights, expected.weights),
            buffers=relative_l2(found.buffers, expected.buffers),
            slots=relative_l2(found.slots, expected.slots),
            loss=float(np.max(np.abs(np.array(found.losses) - losses) / losses)),
        )

    def beyond(self, allowed: Distance) -> list[str]:
        """Returns what is further apart than allowed, each in a sentence."""
        return [
            f"{name}: {getattr(self, name):.2e} apart, {getattr(allowed, name):.2e} allowed"
            for name in ("weights", "buffers", "slots", "loss")
            # Not "greater than": a NaN is never within what is allowed.
            if not getattr(self, name) <= getattr(allowed, name)
        ]


SMOOTH = Distance(weights=1e-4, buffers=1e-4, slots=1e-4, loss=WORST_LOSS)
"""Models without kinks and ties, where rounding stays rounding."""


def allowed_by(control: Distance) -> Distance:
    """Ten times what torch differs from itself, and never more than weights can bear."""
    return Distance(
        weights=min(CONTROL_FACTOR * control.weights, WORST_WEIGHTS),
        buffers=CONTROL_FACTOR * control.buffers,
        slots=CONTROL_FACTOR * control.slots,
        loss=WORST_LOSS,
    )


def relative_l2(found: Arrays, expected: Arrays) -> float:
    """|found - expected| / |expected| over all arrays; infinite where counters differ."""
    assert {k: a.shape for k, a in found.items()} == {k: a.shape for k, a in expected.items()}
    difference, size = 0.0, 0.0
    for key, array in expected.items():
        if array.dtype.kind != "f":
            difference += 0.0 if np.array_equal(found[key], array) else np.inf
            continue
        difference += float(np.sum(np.square(found[key].astype(np.float64) - array)))
        size += float(np.sum(np.square(array, dtype=np.float64)))
    return float(np.sqrt(difference / size)) if difference else 0.0
