"""Averages of layer copies: exact weights, any order of arrival, little memory."""

from __future__ import annotations

import tracemalloc
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from runtime.averaging import LayerCopy, average

VALUES = hnp.arrays(np.float32, 6, elements=st.floats(-(2.0**66), 2.0**66, width=32))
STATES = st.fixed_dictionaries({}, optional={key: VALUES for key in ("a.weight", "b.weight", "c")})
COPIES = st.dictionaries(
    st.text("abc0-", min_size=1), st.tuples(st.integers(1, 10**6), STATES), min_size=1, max_size=6
).map(lambda fleet: [(device, *copy) for device, copy in fleet.items()])

# Summed in this order the 1 is lost, even in float64; in another it is not.
LARGE_AND_SMALL = (2.0**60, 1.0, -(2.0**60))


def floats(*values: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array(values, np.float32)


@settings(deadline=None)
@given(copies=COPIES, data=st.data())
def test_the_order_of_arrival_does_not_matter(copies: list[LayerCopy], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(copies))
    first, second = average(copies), average(shuffled)

    assert list(first) == list(second)
    assert all(first[key].tobytes() == second[key].tobytes() for key in first)


def test_the_order_of_arrival_does_not_matter_where_float64_rounds() -> None:
    copies = [
        (device, 1, {"w": floats(w)}) for device, w in zip("abc", LARGE_AND_SMALL, strict=True)
    ]

    assert {average(arrival)["w"].item() for arrival in permutations(copies)} == {0.0}


@settings(deadline=None)
@given(copies=COPIES)
def test_every_key_is_averaged_over_the_copies_that_hold_it(copies: list[LayerCopy]) -> None:
    averaged = average(copies)

    assert set(averaged) == {key for _, _, state in copies for key in state}
    for key, value in averaged.items():
        held = [(state[key], trained) for _, trained, state in copies if key in state]
        stacked = np.array([array for array, _ in held], np.float64)
        expected = np.average(stacked, axis=0, weights=[trained for _, trained in held])
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-10 * np.abs(stacked).max())


@settings(deadline=None)
@given(state=VALUES, weights=st.lists(st.integers(1, 10**6), min_size=1, max_size=5))
def test_equal_copies_average_to_themselves(
    state: np.ndarray[tuple[int], np.dtype[np.float32]], weights: list[int]
) -> None:
    copies = [(f"d{i}", weight, {"w": state}) for i, weight in enumerate(weights)]

    assert np.array_equal(average(copies)["w"], state)


def test_weights_are_samples() -> None:
    averaged = average([("a", 1, {"w": floats(0, 8)}), ("b", 3, {"w": floats(4, 0)})])

    assert averaged["w"].tolist() == [3, 2]


def test_small_copies_are_not_lost_beside_large_ones() -> None:
    averaged = average(
        [
            ("a", 1, {"w": floats(2**26)}),
            ("b", 1, {"w": floats(1)}),
            ("c", 1, {"w": floats(-(2**26))}),
        ]
    )

    assert averaged["w"] == np.float32(1 / 3)


def test_counters_and_flags_take_the_maximum_and_keep_their_form() -> None:
    states = [
        {"batches": np.array(value, np.int64), "seen": np.array([flag, False])}
        for value, flag in [(3, True), (7, False)]
    ]
    averaged = average([("a", 100, states[0]), ("b", 1, states[1])])

    assert averaged["batches"].dtype == np.int64
    assert averaged["batches"].shape == ()
    assert averaged["batches"] == 7
    assert averaged["seen"].tolist() == [True, False]


def test_a_scalar_stays_an_array() -> None:
    averaged = average(
        [("a", 1, {"s": np.array(1, np.float32)}), ("b", 1, {"s": np.array(2, np.float32)})]
    )

    assert isinstance(averaged["s"], np.ndarray)
    assert averaged["s"].dtype == np.float32
    assert averaged["s"].shape == ()
    assert averaged["s"] == 1.5


def test_one_device_may_bring_its_layers_in_two_copies() -> None:
    averaged = average(
        [
            ("a", 2, {"front": floats(1)}),
            ("a", 2, {"back": floats(5)}),
            ("b", 2, {"back": floats(7)}),
        ]
    )

    assert {key: value.tolist() for key, value in averaged.items()} == {"back": [6], "front": [1]}


def test_the_result_shares_nothing_with_a_copy() -> None:
    state = {"w": floats(1, 2), "n": np.array([4])}
    averaged = average([("a", 1, state)])

    assert not any(np.shares_memory(averaged[key], state[key]) for key in state)


def test_a_copy_that_diverged_spoils_the_average_and_nothing_else() -> None:
    averaged = average(
        [
            ("a", 1, {"w": floats(np.inf, 1), "v": floats(1)}),
            ("b", 1, {"w": floats(-np.inf, 3), "v": floats(3)}),
        ]
    )

    assert np.array_equal(averaged["w"], floats(np.nan, 2), equal_nan=True)
    assert averaged["v"] == 2


def test_memory_does_not_grow_with_the_fleet() -> None:
    array_bytes = 4 * 100_000
    copies = [(f"d{i:02}", 1, {"w": np.full(100_000, i, np.float32)}) for i in range(30)]

    tracemalloc.start()
    averaged = average(copies)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert averaged["w"][0] == 14.5
    assert peak_bytes < 6 * array_bytes


def test_no_copies_average_to_nothing() -> None:
    assert average([]) == {}


@pytest.mark.parametrize(
    ("copies", "message"),
    [
        ([("a", 0, {"w": floats(1)})], "the copy of a trained 0 samples"),
        ([("a", 1, {"w": floats(1)}), ("a", 1, {"w": floats(2)})], "w comes twice"),
        ([("a", 1, {"w": floats(1)}), ("b", 1, {"w": floats(1, 2)})], "w comes in different forms"),
        ([("a", 1, {"w": floats(1)}), ("b", 1, {"w": np.ones(1)})], "w comes in different forms"),
    ],
)
def test_copies_that_do_not_fit_are_refused(copies: list[LayerCopy], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        average(copies)
