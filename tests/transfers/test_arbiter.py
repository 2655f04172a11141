"""Bytes divide by weight among those who have something to send; idle shares are lent."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.ids import DeviceId
from runtime.transfers.arbiter import Arbiter

KIB = 1024


def peers(count: int) -> list[DeviceId]:
    return [DeviceId(f"board-{index}") for index in range(count)]


def serve(arbiter: Arbiter, sizes: dict[DeviceId, int], total_bytes: int) -> Counter[DeviceId]:
    """Returns the bytes of each peer after about `total_bytes`, all of them backlogged."""
    served: Counter[DeviceId] = Counter()
    while served.total() < total_bytes:
        peer = arbiter.next(sizes.__getitem__)
        assert peer is not None
        served[peer] += sizes[peer]
    return served


class TestShares:
    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(
            st.tuples(st.floats(0.05, 20.0), st.integers(4 * KIB, 256 * KIB)),
            min_size=2,
            max_size=8,
        )
    )
    def test_backlogged_peers_divide_by_weight(self, rows: list[tuple[float, int]]) -> None:
        names = peers(len(rows))
        weights = dict(zip(names, (weight for weight, _ in rows), strict=True))
        sizes = dict(zip(names, (size for _, size in rows), strict=True))
        arbiter = Arbiter()
        for name in names:
            arbiter.weigh(name, weights[name])
            arbiter.wake(name)
        least_share = min(weights.values()) / sum(weights.values())
        served = serve(arbiter, sizes, int(max(64 << 20, 16 * 256 * KIB / least_share)))
        for name in names:
            share = weights[name] / sum(weights.values())
            assert served[name] / served.total() == pytest.approx(share, rel=0.1)

    def test_an_idle_share_is_lent_at_once_and_taken_back(self) -> None:
        arbiter = Arbiter()
        heavy, light = peers(2)
        arbiter.weigh(heavy, 9.0)
        busy = {light}
        costs = lambda peer: 64 * KIB if peer in busy else None  # noqa: E731
        arbiter.wake(heavy)
        arbiter.wake(light)
        assert [arbiter.next(costs) for _ in range(20)] == [light] * 20
        busy.add(heavy)
        arbiter.wake(heavy)
        served = Counter(arbiter.next(costs) for _ in range(100))
        assert served[heavy] == pytest.approx(90, abs=2)

    def test_a_peer_that_was_away_saves_nothing_up(self) -> None:
        arbiter = Arbiter()
        first, second = peers(2)
        arbiter.wake(first)
        serve(arbiter, {first: 64 * KIB}, 100 << 20)
        arbiter.wake(second)
        served = serve(arbiter, {first: 64 * KIB, second: 64 * KIB}, 4 << 20)
        assert served[second] == pytest.approx(2 << 20, rel=0.1)


class TestTurns:
    def test_nobody_when_nobody_has_anything(self) -> None:
        arbiter = Arbiter()
        assert arbiter.next(lambda _: 1) is None
        arbiter.wake(peers(1)[0])
        assert arbiter.next(lambda _: None) is None
        assert arbiter.next(lambda _: 1) is None, "it left the ring"

    def test_what_does_not_fit_keeps_its_turn(self) -> None:
        arbiter = Arbiter()
        large, small = peers(2)
        sizes = {large: 64 * KIB, small: KIB}
        arbiter.wake(large)
        arbiter.wake(small)
        cramped = [arbiter.next(sizes.__getitem__, KIB) for _ in range(100)]
        assert large not in cramped
        assert arbiter.next(sizes.__getitem__, 64 * KIB) == large

    @pytest.mark.parametrize("weight", [1e-9, 1e-3, 1.0, 1e6])
    def test_the_scale_of_weights_costs_no_time(self, weight: float) -> None:
        arbiter = Arbiter()
        names = peers(100)
        for name in names:
            arbiter.weigh(name, weight)
            arbiter.wake(name)
        asked = 0

        def cost(_: DeviceId) -> int:
            nonlocal asked
            asked += 1
            return 256 * KIB

        served = Counter(arbiter.next(cost) for _ in range(1000))
        assert set(served.values()) == {10}
        assert asked < 10_000

    @pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
    def test_a_weight_is_above_zero_and_finite(self, weight: float) -> None:
        with pytest.raises(ValueError, match="weight"):
            Arbiter().weigh(peers(1)[0], weight)
