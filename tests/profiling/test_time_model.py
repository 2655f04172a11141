"""Times at a few cuts foretell those at all cuts."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from coordinator.profiling.time_model import Load, Timed, TimeModel, fit

LOADS = [Load(1e9, 4e6), Load(5e9, 6e6), Load(2e10, 7e6)]


def timed(model: TimeModel, loads: list[Load]) -> list[Timed]:
    return [Timed(load, model.seconds(load)) for load in loads]


@pytest.mark.parametrize(
    "truth",
    [TimeModel(1e-9), TimeModel(1e-9, 0.0, 0.3), TimeModel(1e-9, 2e-8), TimeModel(1e-9, 2e-8, 0.1)],
)
def test_finds_what_made_the_times(truth: TimeModel) -> None:
    found = fit(timed(truth, LOADS))
    for load in (*LOADS, Load(1e10, 5e6), Load(4e10, 9e6)):
        assert found.seconds(load) == pytest.approx(truth.seconds(load), rel=1e-6)


def test_one_sample_is_scaled_by_operations() -> None:
    found = fit([Timed(Load(2e9, 1e6), 4.0)])
    assert found.seconds(Load(4e9, 9e6)) == pytest.approx(8.0)


def test_nothing_is_negative_and_nothing_beats_it() -> None:
    """Against a grid, with times that a line through them would explain by negative costs."""
    samples = [Timed(load, s) for load, s in zip(LOADS, (3.0, 2.0, 9.0), strict=True)]
    found = fit(samples)
    terms = (found.per_operation_s, found.per_byte_s, found.per_step_s)
    assert min(terms) >= 0

    def error(model: TimeModel) -> float:
        return sum((model.seconds(one.load) / one.seconds - 1) ** 2 for one in samples)

    grid = (np.linspace(0, 1e-9, 15), np.linspace(0, 1e-6, 15), np.linspace(0, 4, 15))
    best = min(error(TimeModel(*point)) for point in product(*grid))
    assert error(found) <= best


def test_nothing_measured_foretells_nothing() -> None:
    assert fit([]) == TimeModel()
    assert fit([Timed(LOADS[0], 0.0)]) == TimeModel()
