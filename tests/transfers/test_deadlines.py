"""The heap of deadlines tells what a plain dictionary would, and does not grow."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runtime.ids import DeviceId
from runtime.transfers.deadlines import Deadlines
from runtime.transfers.patience import backed_off_s

moves = st.lists(st.tuples(st.integers(0, 5), st.none() | st.integers(0, 20)), max_size=200)


@given(moves, st.integers(0, 20))
def test_tells_what_a_dictionary_would(moves: list[tuple[int, int | None]], now: int) -> None:
    deadlines, plain = Deadlines(), dict[DeviceId, float]()
    for number, at_s in moves:
        peer = DeviceId(f"board-{number}")
        deadlines.set(peer, at_s)
        plain.pop(peer, None)
        if at_s is not None:
            plain[peer] = at_s
        assert deadlines.earliest() == min(plain.values(), default=None)
    due = deadlines.take_until(now)
    assert set(due) == {peer for peer, at_s in plain.items() if at_s <= now}
    assert [plain[peer] for peer in due] == sorted(plain[peer] for peer in due)
    assert deadlines.earliest() == min((at for at in plain.values() if at > now), default=None)


def test_moving_one_deadline_for_ever_keeps_nothing() -> None:
    deadlines = Deadlines()
    for at_s in range(100_000):
        deadlines.set(DeviceId("board-1"), at_s)
    assert len(deadlines._heap) < 100


def test_pauses_double_up_to_the_longest() -> None:
    assert [backed_off_s(1.0, n, 8.0) for n in (0, 1, 2, 3, 4, 100_000)] == [1, 2, 4, 8, 8, 8]
