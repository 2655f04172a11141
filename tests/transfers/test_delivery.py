"""Whatever the line does, every letter comes out exactly once and whole."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.frames import Offer, Session
from runtime.ids import COORDINATOR, DeviceId
from runtime.topics import CHUNK_LIMIT_BYTES
from runtime.transfers.courier import CourierLimits
from tests.transfers.line import Line, Link, Weather

BOARD = DeviceId("board-0")
MB = 1_000_000


def bulk(size_bytes: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size_bytes)


weathers = st.builds(
    Weather,
    drop=st.floats(0, 0.4),
    duplicate=st.floats(0, 0.4),
    late_s=st.sampled_from([0.0, 0.01, 0.5]),
)
sizes = st.one_of(
    st.integers(0, 200), st.integers(8_000, 9_000), st.integers(30_000, 200_000), st.just(MB)
)
letters = st.lists(st.tuples(st.booleans(), sizes), min_size=1, max_size=12)
outages = st.lists(st.tuples(st.booleans(), st.floats(0.01, 8.0), st.floats(0.0, 3.0)), max_size=4)


class TestExactlyOnce:
    @settings(max_examples=60, deadline=None)
    @given(letters, weathers, outages, st.sampled_from([1.0, 9.0]), st.integers(0, 2**32))
    def test_each_letter_once_and_whole(
        self,
        letters: list[tuple[bool, int]],
        weather: Weather,
        outages: list[tuple[bool, float, float]],
        weight: float,
        seed: int,
    ) -> None:
        """Whether or not weights differ: then windows are parts, filled to the byte."""
        line = Line(weather=weather, seed=seed)
        line.hub.courier.weigh(BOARD, weight)
        expected: Counter[tuple[str, bytes]] = Counter()
        for index, (upward, size_bytes) in enumerate(letters):
            sender, to = (BOARD, COORDINATOR) if upward else (COORDINATOR, BOARD)
            body = bulk(size_bytes, index)
            expected[sender, body] += 1
            line.post(sender, f"kind-{index}", body, to)
        for at_hub, at_s, outage_s in outages:
            name = COORDINATOR if at_hub else BOARD
            line.clock.call_at(at_s, lambda n=name, o=outage_s: line.interrupt(n, o))  # type: ignore[misc]
        # Two messages of five lost both ways leave little of a link.
        line.settle(until_s=4 * 3600.0)
        assert Counter((one.sender, one.body) for one in line.delivered) == expected
        for party in line.parties.values():
            assert party.courier.held_bytes == party.courier._granting.credit.granted_bytes == 0

    def test_thousands_of_small_letters(self) -> None:
        line = Line(weather=Weather(drop=0.05, duplicate=0.05, late_s=0.02))
        for index in range(5000):
            line.post(BOARD, "step", index.to_bytes(4, "big"))
        line.settle()
        got = Counter(one.body for one in line.delivered)
        assert got == Counter(index.to_bytes(4, "big") for index in range(5000))

    def test_a_silence_of_days_ends_well(self) -> None:
        """Failures that mount up must neither overflow nor stretch the pauses."""
        line = Line()
        line.weather = Weather(drop=1.0)
        for size_bytes in (10, 100_000):
            line.post(BOARD, "up", bulk(size_bytes))
        line.run_until(3 * 86_400.0)
        line.weather = Weather()
        line.run(2, until_s=3 * 86_400.0 + 60.0)

    def test_a_silence_of_days_in_the_middle_of_a_letter(self) -> None:
        line = Line(up=Link(100_000.0))
        line.post(BOARD, "up", bulk(MB))
        line.run_until(2.0)
        line.weather = Weather(drop=1.0)
        line.run_until(3 * 86_400.0)
        line.weather = Weather()
        line.run(1, until_s=3 * 86_400.0 + 120.0)

    def test_an_outage_repeats_little(self) -> None:
        line = Line(up=Link(1e6))
        line.post(BOARD, "up", bulk(5 * MB))
        for at_s in (1.0, 2.5, 4.0):
            line.clock.call_at(at_s, lambda: line.interrupt(BOARD, 0.5))
        line.run(1)
        assert line.sent_bytes[BOARD] < 7 * MB
        assert line.now < 10.0


class TestSessions:
    def test_frames_of_another_session_are_dropped_and_counted(self) -> None:
        line = Line()
        stranger = Offer(Session(1, 2), 1, "step", 2, b"", b"hi")
        assert line.hub.courier.received(BOARD, stranger, 0.0) == []
        assert line.hub.courier.counts() == {"frame of another session": 1}

    def test_frames_of_a_peer_without_session_are_dropped_and_counted(self) -> None:
        line = Line()
        offer = Offer(Session(1, 1), 1, "step", 2, b"", b"hi")
        assert line.hub.courier.received(DeviceId("unknown"), offer, 0.0) == []
        assert line.hub.courier.send(DeviceId("unknown"), "order", b"", 0.0) == []
        expected = {"frame of another session": 1, "letter without session": 1}
        assert line.hub.courier.counts() == expected

    def test_a_new_session_voids_what_was_under_way(self) -> None:
        line = Line()
        line.post(BOARD, "old", bulk(MB))
        line.run_until(0.02)
        line.hub.courier.open(BOARD, Session(1, 2), line.now)
        line.parties[BOARD].courier.open(COORDINATOR, Session(1, 2), line.now)
        assert line.hub.courier.held_bytes == line.parties[BOARD].courier.held_bytes == 0
        line.post(BOARD, "new", bulk(MB, 1))
        line.settle()
        assert [one.kind for one in line.delivered] == ["new"]


class TestLimits:
    @pytest.mark.parametrize("budget_bytes", [1, MB, 3 * MB])
    def test_outstanding_credit_stays_within_the_budget(self, budget_bytes: int) -> None:
        line = Line(12, limits=CourierLimits(budget_bytes=budget_bytes), up=Link(50e6))
        for name in line.names:
            line.post(name, "up", bulk(MB))
        line.run(12)
        assert line.most_granted_bytes <= max(budget_bytes, CHUNK_LIMIT_BYTES)

    def test_a_letter_beyond_the_limit_is_refused_before_any_chunk(self) -> None:
        line = Line(limits=CourierLimits(letter_bytes=100_000))
        line.post(BOARD, "large", bulk(100_001))
        line.post(BOARD, "fits", bulk(100_000))
        line.settle()
        assert [one.kind for one in line.delivered] == ["fits"]
        assert [(one.peer, one.kind) for one in line.rejected] == [(COORDINATOR, "large")]
        assert line.sent_bytes[BOARD] < 102_000

    def test_refused_letters_never_block_later_ones(self) -> None:
        line = Line(limits=CourierLimits(letter_bytes=10_000))
        line.post(BOARD, "large", bulk(10_001))
        for _ in range(5000):
            line.post(BOARD, "small", b"")
        line.settle()
        assert len(line.delivered) == 5000

    def test_what_is_open_at_once_is_bounded_like_one_letter(self) -> None:
        line = Line(limits=CourierLimits(letter_bytes=300_000))
        most = 0
        for index in range(6):
            line.post(BOARD, "up", bulk(200_000, index))
        while len(line.delivered) < 6:
            line.clock.step()
            most = max(most, line.hub.courier.held_bytes)
        assert most <= 300_000
