"""From times at a few cuts to times at all: seconds = a x operations + b x bytes + c."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from runtime.value import value

_TERMS = 3
_TIE = 1e-9
_FITS_KEPT = 4096
"""Probes are few and rounds many: what fitted them last time is asked for again each round."""


@frozen
class Load:
    """What a local step asks of a machine: operations, and bytes of activations it handles."""

    operations: float
    activation_bytes: float


@value
class Timed:
    """A load and the seconds that it took."""

    load: Load
    seconds: float


@frozen
class TimeModel:
    """What every operation, every byte and every step costs, in seconds; none is negative."""

    per_operation_s: float = 0.0
    per_byte_s: float = 0.0
    per_step_s: float = 0.0

    def seconds(self, load: Load) -> float:
        """Returns how long a step with this load takes."""
        return (
            self.per_operation_s * load.operations
            + self.per_byte_s * load.activation_bytes
            + self.per_step_s
        )


def fit(samples: Sequence[Timed]) -> TimeModel:
    """Returns the non-negative least squares fit, of relative errors; of equals the simplest.

    With three terms, the solution is found by trying every set of terms that are not zero
    (Lawson and Hanson, Solving Least Squares Problems, chapter 23, prove that it is one of
    these). No samples give a model in which nothing takes time.
    """
    return _fitted(tuple(one for one in samples if one.seconds > 0))


@lru_cache(_FITS_KEPT)
def _fitted(samples: tuple[Timed, ...]) -> TimeModel:
    if not samples:
        return TimeModel()
    rows = np.array([(one.load.operations, one.load.activation_bytes, 1.0) for one in samples])
    rows /= np.array([[one.seconds] for one in samples])
    best, least = np.zeros(_TERMS), np.inf
    for chosen in _sets_of_terms():
        found = _solution(rows, chosen)
        error = float(np.square(rows @ found - 1).sum())
        if (found >= 0).all() and error < least - _TIE:
            best, least = found, error
    return TimeModel(*best.tolist())


def _sets_of_terms() -> list[list[int]]:
    """Few terms first, and among as many, operations before the step before bytes."""
    order = (0, 2, 1)
    return [list(c) for size in range(1, _TERMS + 1) for c in combinations(order, size)]


def _solution(rows: NDArray[np.float64], chosen: list[int]) -> NDArray[np.float64]:
    columns = rows[:, chosen]
    scale = np.maximum(np.abs(columns).max(axis=0), np.finfo(float).tiny)
    found = np.zeros(_TERMS)
    found[chosen] = np.linalg.lstsq(columns / scale, np.ones(len(rows)), rcond=None)[0] / scale
    return found
