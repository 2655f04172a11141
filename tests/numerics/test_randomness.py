"""Draws depend on their place in the run, on all of it, and on nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.randomness import dropout_mask, generator, words

HERE: dict[str, Any] = {"seed": 7, "round": 3, "step": 2, "micro_batch": 1, "device": "porch"}
ELSEWHERE: list[dict[str, Any]] = [
    {"seed": 8},
    {"round": 4},
    {"step": 3},
    {"micro_batch": 2},
    {"device": "porch2"},
    {"round": 2, "step": 3},
]


def test_the_stream_is_pinned_for_every_version_and_machine() -> None:
    drawn = words(generator("noise", **HERE), 5)

    assert drawn.tolist() == [57317, 23318, 19905, 64139, 14867]


def test_the_same_place_draws_the_same() -> None:
    first, second = (words(generator("noise", **HERE), 1000) for _ in range(2))

    assert np.array_equal(first, second)


@pytest.mark.parametrize("change", ELSEWHERE, ids=str)
def test_every_part_of_the_place_matters(change: dict[str, Any]) -> None:
    here = words(generator("noise", **HERE), 64)

    assert not np.array_equal(here, words(generator("noise", **{**HERE, **change}), 64))


def test_purposes_do_not_share_draws() -> None:
    here = words(generator("noise", **HERE), 64)

    assert not np.array_equal(here, words(generator("dropout", **HERE), 64))


def test_text_cannot_imitate_another_place() -> None:
    here = words(generator('noise", "a', **{**HERE, "device": "b"}), 64)

    assert not np.array_equal(here, words(generator("noise", **{**HERE, "device": 'a", "b'}), 64))


def test_numpy_integers_name_the_same_place() -> None:
    place = {**HERE, "seed": np.int64(7), "step": np.int32(2)}

    assert np.array_equal(words(generator("x", **place), 8), words(generator("x", **HERE), 8))


@given(count=st.integers(0, 70))
def test_a_shorter_draw_is_the_start_of_a_longer_one(count: int) -> None:
    long = words(generator("noise", **HERE), 70)

    assert np.array_equal(words(generator("noise", **HERE), count), long[:count])


def test_words_are_uniform() -> None:
    drawn = words(generator("noise", **HERE), 2**18)
    counts = np.bincount(drawn >> 8, minlength=256)

    assert abs(drawn.mean() - 32767.5) < 6 * 65536 / np.sqrt(12 * drawn.size)
    assert counts.min() > 1024 - 6 * 32
    assert counts.max() < 1024 + 6 * 32


@settings(deadline=None, max_examples=30)
@given(drop=st.floats(0, 1), shape=st.sampled_from([(20000,), (16, 25, 50), (2, 5, 10, 200)]))
def test_a_mask_keeps_its_share(drop: float, shape: tuple[int, ...]) -> None:
    mask = dropout_mask(generator("dropout", **HERE), shape, drop)

    assert mask.shape == shape
    assert mask.dtype == np.bool_
    spread = np.sqrt(drop * (1 - drop) / mask.size)
    assert abs(mask.mean() - (1 - drop)) <= 6 * spread + 2**-16


def test_the_ends_keep_all_and_nothing() -> None:
    assert dropout_mask(generator("dropout", **HERE), (70000,), 0.0).all()
    assert not dropout_mask(generator("dropout", **HERE), (70000,), 1.0).any()


@pytest.mark.parametrize("drop", [-0.1, 1.1, float("nan")])
def test_a_share_outside_of_the_unit_interval_is_refused(drop: float) -> None:
    with pytest.raises(ValueError, match=r"drop must lie in 0\.\.1"):
        dropout_mask(generator("dropout", **HERE), (3,), drop)
