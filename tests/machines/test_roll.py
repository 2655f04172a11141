"""A roll tells what a dictionary would, and shares what did not change."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from coordinator.roll import Roll

entries = st.dictionaries(st.integers(0, 99), st.integers())


@given(entries, st.integers(0, 120), st.integers())
def test_tells_what_a_dictionary_would(before: dict[int, int], key: int, value: int) -> None:
    roll = Roll(before)
    after = roll.having(key, value)
    expected = {**before, key: value}
    assert list(after.items()) == list(expected.items())
    assert list(after.values()) == list(expected.values())
    assert after == expected
    assert len(after) == len(expected)
    assert roll == before, "the earlier one is as it was"
    assert after.get(200) is None


def test_a_change_copies_one_block() -> None:
    roll = Roll(dict.fromkeys(range(1000), 0))
    after = roll.having(500, 1)
    assert after._places is roll._places
    shared = [one is other for one, other in zip(roll._blocks, after._blocks, strict=True)]
    assert shared.count(False) == 1
