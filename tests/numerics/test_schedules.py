"""Learning-rate schedules over a whole run."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from runtime.schedules import ScheduleSpec, learning_rate

SPECS = st.builds(
    ScheduleSpec,
    name=st.sampled_from(["constant", "step", "cosine"]),
    warmup_steps=st.integers(0, 60),
    every_rounds=st.integers(1, 6),
    gamma=st.floats(0, 1),
    floor=st.floats(0, 1),
)
ROUNDS = st.integers(1, 12)
LOCAL_STEPS = st.integers(1, 8)
BASE_LR = st.floats(1e-6, 10)


def whole_run(spec: ScheduleSpec, base_lr: float, rounds: int, local_steps: int) -> list[float]:
    return [
        learning_rate(spec, base_lr, round=round, step=step, rounds=rounds, local_steps=local_steps)
        for round in range(1, rounds + 1)
        for step in range(local_steps)
    ]


@given(spec=SPECS, base_lr=BASE_LR, rounds=ROUNDS, local_steps=LOCAL_STEPS)
def test_a_rate_lies_between_zero_and_the_base(
    spec: ScheduleSpec, base_lr: float, rounds: int, local_steps: int
) -> None:
    assert all(0 <= rate <= base_lr for rate in whole_run(spec, base_lr, rounds, local_steps))


@given(spec=SPECS, base_lr=BASE_LR, rounds=ROUNDS, local_steps=LOCAL_STEPS)
def test_a_rate_rises_in_the_warm_up_and_never_after(
    spec: ScheduleSpec, base_lr: float, rounds: int, local_steps: int
) -> None:
    rates = whole_run(spec, base_lr, rounds, local_steps)
    rising, falling = rates[: spec.warmup_steps], rates[spec.warmup_steps :]

    assert all(before < after for before, after in pairwise(rising))
    assert all(before >= after for before, after in pairwise(falling))


@given(spec=SPECS, rounds=ROUNDS, local_steps=LOCAL_STEPS)
def test_after_the_warm_up_no_rate_is_below_the_floor(
    spec: ScheduleSpec, rounds: int, local_steps: int
) -> None:
    rates = whole_run(spec, 1.0, rounds, local_steps)

    assert all(rate >= spec.floor * (1 - 1e-12) for rate in rates[spec.warmup_steps :])


@given(floor=st.floats(0, 0.9), warmup_steps=st.integers(0, 50))
def test_a_cosine_starts_at_the_base_and_ends_near_the_floor(
    floor: float, warmup_steps: int
) -> None:
    spec = ScheduleSpec("cosine", warmup_steps=warmup_steps, floor=floor)
    rates = whole_run(spec, 2.0, 20, 10)

    assert rates[warmup_steps] == 2.0
    assert 2 * floor < rates[-1] < 2 * floor + 0.001


def test_a_cosine_is_halfway_in_the_middle_of_the_run() -> None:
    spec = ScheduleSpec("cosine", floor=0.2)

    assert whole_run(spec, 1.0, 10, 6)[30] == pytest.approx(0.6)


def test_steps_fall_between_rounds() -> None:
    spec = ScheduleSpec("step", every_rounds=2, gamma=0.5, floor=0.2)

    assert whole_run(spec, 8.0, 8, 1) == [8, 8, 4, 4, 2, 2, 1.6, 1.6]


def test_a_warm_up_counts_local_steps_over_rounds() -> None:
    spec = ScheduleSpec(warmup_steps=4)

    assert whole_run(spec, 1.0, 3, 2) == [0.25, 0.5, 0.75, 1, 1, 1]


@given(spec=SPECS, step=st.integers(0, 4))
def test_rounds_beyond_the_planned_ones_raise_no_rate(spec: ScheduleSpec, step: int) -> None:
    spec = evolve(spec, warmup_steps=0)
    last = whole_run(spec, 1.0, 2, 5)[-1]

    assert learning_rate(spec, 1.0, round=4, step=step, rounds=2, local_steps=5) <= last


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": "exponential"}, "'name' must be in"),
        ({"warmup_steps": -1}, "warmup_steps must be a whole number of at least 0"),
        ({"warmup_steps": 1.5}, "warmup_steps must be a whole number"),
        ({"every_rounds": 0}, "every_rounds must be a whole number of at least 1"),
        ({"gamma": 1.1}, "gamma must lie in 0..1"),
        ({"floor": float("nan")}, "floor must lie in 0..1"),
    ],
)
def test_wrong_values_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ScheduleSpec(**wrong)
