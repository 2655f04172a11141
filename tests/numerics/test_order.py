"""The data order: permutations end to end, the same however they are asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.order import samples

SIZES = st.integers(1, 40)


def test_the_order_is_pinned_for_every_version_and_machine() -> None:
    assert samples(7, "porch", 10, 0, 20).tolist() == [
        3,
        4,
        8,
        7,
        6,
        0,
        2,
        9,
        5,
        1,
        7,
        0,
        5,
        1,
        9,
        8,
        6,
        3,
        2,
        4,
    ]


@settings(deadline=None)
@given(seed=st.integers(), n=SIZES, epoch=st.integers(0, 2**40))
def test_every_epoch_is_a_permutation(seed: int, n: int, epoch: int) -> None:
    window = samples(seed, "porch", n, epoch * n, n)

    assert window.dtype == np.int64
    assert np.array_equal(np.sort(window), np.arange(n))


@settings(deadline=None)
@given(n=SIZES, start=st.integers(0, 200), counts=st.lists(st.integers(0, 90), max_size=6))
def test_consecutive_windows_are_one_large_window(n: int, start: int, counts: list[int]) -> None:
    position, windows = start, [np.empty(0, np.int64)]
    for count in counts:
        windows.append(samples(3, "porch", n, position, count))
        position += count

    whole = samples(3, "porch", n, start, sum(counts))
    assert np.array_equal(np.concatenate(windows), whole)


def test_epochs_seeds_and_devices_differ() -> None:
    windows = [
        samples(1, "porch", 50, 0, 50),
        samples(1, "porch", 50, 50, 50),
        samples(2, "porch", 50, 0, 50),
        samples(1, "shed", 50, 0, 50),
    ]

    assert len({window.tobytes() for window in windows}) == 4


def test_every_sample_comes_first_equally_often() -> None:
    firsts = [int(samples(1, "porch", 4, 4 * epoch, 1)[0]) for epoch in range(2000)]

    assert np.all(np.abs(np.bincount(firsts, minlength=4) - 500) < 6 * np.sqrt(375))


def test_a_caller_may_write_into_its_window() -> None:
    samples(1, "porch", 5, 0, 5)[:] = 0

    assert np.array_equal(np.sort(samples(1, "porch", 5, 0, 5)), np.arange(5))


@pytest.mark.parametrize(("n", "start", "count"), [(0, 0, 1), (5, -1, 3), (5, 0, -1)])
def test_impossible_windows_are_refused(n: int, start: int, count: int) -> None:
    with pytest.raises(ValueError, match="no samples"):
        samples(1, "porch", n, start, count)
