"""The heap of deadlines tells what a plain dictionary would, and does not grow."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runtime.ids import DeviceId
from runtime.transfers.deadlines import Deadlines
from runtime.transfers.patience import backed_off_s

moves = st.lists(
    st.tuples(st.integers(0, 5), st.none() | st.integers(0, 20), st.integers(0, 3)), max_size=200
)


@given(moves, st.integers(0, 20))
def test_tells_what_a_dictionary_would(moves: list[tuple[int, int | None, int]], now: int) -> None:
    plain = dict[DeviceId, float]()
    deadlines = Deadlines(plain.get)
    for number, at_s, sooner_s in moves:
        peer = DeviceId(f"board-{number}")
        plain.pop(peer, None)
        if at_s is not None:
            plain[peer] = at_s
            deadlines.look(peer, at_s - sooner_s)
        assert deadlines.earliest() == min(plain.values(), default=None)
    due = deadlines.take_until(now)
    assert set(due) == {peer for peer, at_s in plain.items() if at_s <= now}
    assert [plain[peer] for peer in due] == sorted(plain[peer] for peer in due)
    for peer in due:
        del plain[peer]
    assert deadlines.earliest() == min(plain.values(), default=None)


def test_tells_nothing_of_what_comes_later_than_asked() -> None:
    deadlines = Deadlines({DeviceId("board-1"): 5.0}.get)
    deadlines.look(DeviceId("board-1"), 1.0)
    assert [deadlines.earliest(before_s) for before_s in (1.0, 4.0, 5.0, 6.0)] == [None] * 3 + [5.0]


def test_moving_one_deadline_for_ever_keeps_nothing() -> None:
    plain = {DeviceId("board-1"): 0.0}
    deadlines = Deadlines(plain.get)
    for at_s in range(100_000):
        plain[DeviceId("board-1")] = -at_s
        deadlines.look(DeviceId("board-1"), -at_s)
    assert len(deadlines._heap) < 100


def test_pauses_double_up_to_the_longest() -> None:
    assert [backed_off_s(1.0, n, 8.0) for n in (0, 1, 2, 3, 4, 100_000)] == [1, 2, 4, 8, 8, 8]
