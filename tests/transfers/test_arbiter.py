"""Bytes divide by weight among those who have something to send; idle shares are lent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.ids import DeviceId
from runtime.transfers.arbiter import Arbiter

KIB = 1024
WEIGHTS = st.lists(st.floats(1.0, 3.0), min_size=8, max_size=16)


def peers(count: int) -> list[DeviceId]:
    return [DeviceId(f"board-{index}") for index in range(count)]


@define
class Crowd:
    """Peers that always have a message of their size, but for those in `away`."""

    sizes: Mapping[DeviceId, int]
    weights: Mapping[DeviceId, float] = field(factory=dict)
    away: set[DeviceId] = field(factory=set)
    served: Counter[DeviceId] = field(factory=Counter)
    """Bytes of each."""
    asked: int = 0
    arbiter: Arbiter = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.arbiter = Arbiter(self._cost)
        for name, weight in self.weights.items():
            self.arbiter.weigh(name, weight)
        for name in self.sizes:
            self.arbiter.wake(name)

    def turn(self) -> DeviceId:
        turn = self.arbiter.next()
        assert turn is not None
        peer, size_bytes = turn
        assert size_bytes == self.sizes[peer]
        self.served[peer] += self.sizes[peer]
        self.arbiter.wake(peer)
        return peer

    def serve(self, total_bytes: int) -> None:
        while self.served.total() < total_bytes:
            self.turn()

    def _cost(self, peer: DeviceId) -> int | None:
        self.asked += 1
        return None if peer in self.away else self.sizes[peer]


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
        crowd = Crowd(sizes, weights)
        least_share = min(weights.values()) / sum(weights.values())
        crowd.serve(int(max(64 << 20, 16 * 256 * KIB / least_share)))
        for name in names:
            share = weights[name] / sum(weights.values())
            assert crowd.served[name] / crowd.served.total() == pytest.approx(share, rel=0.1)

    @settings(max_examples=30, deadline=None)
    @given(WEIGHTS)
    def test_weights_hold_for_peers_with_one_message_at_a_time(self, weights: list[float]) -> None:
        """Who was served has nothing while the next one is, as boards that train in lockstep."""
        names = peers(len(weights))
        crowd = Crowd(dict.fromkeys(names, 64 * KIB), dict(zip(names, weights, strict=True)))
        back = names[0]
        for _ in range(5000):
            crowd.away = {back}
            served = crowd.turn()
            crowd.away.clear()
            crowd.arbiter.wake(back)
            back = served
        for name, weight in zip(names, weights, strict=True):
            share = weight / sum(weights)
            # While it is away, others have its share.
            assert crowd.served[name] / crowd.served.total() == pytest.approx(share, rel=0.15)

    def test_an_idle_share_is_lent_at_once_and_taken_back(self) -> None:
        heavy, light = peers(2)
        crowd = Crowd(dict.fromkeys((heavy, light), 64 * KIB), {heavy: 9.0}, away={heavy})
        assert [crowd.turn() for _ in range(20)] == [light] * 20
        crowd.away.clear()
        crowd.arbiter.wake(heavy)
        assert Counter(crowd.turn() for _ in range(100))[heavy] == pytest.approx(90, abs=2)

    def test_a_peer_that_was_away_saves_nothing_up(self) -> None:
        first, second = peers(2)
        crowd = Crowd(dict.fromkeys((first, second), 64 * KIB), away={second})
        crowd.serve(100 << 20)
        crowd.away.clear()
        crowd.arbiter.wake(second)
        served = Counter(crowd.turn() for _ in range(64))
        assert served[second] == pytest.approx(32, abs=1)


class TestTurns:
    def test_nobody_when_nobody_has_anything(self) -> None:
        (one,) = peers(1)
        crowd = Crowd({one: 1})
        crowd.away = {one}
        assert crowd.arbiter.next() is None
        crowd.away.clear()
        assert crowd.arbiter.next() is None, "it left the ring"
        crowd.arbiter.wake(one)
        assert crowd.arbiter.next() == (one, 1)
        assert crowd.arbiter.next() is None, "a turn is one message"

    def test_what_does_not_fit_keeps_its_turn(self) -> None:
        large, small = peers(2)
        crowd = Crowd({large: 64 * KIB, small: KIB})
        turns = []
        while (turn := crowd.arbiter.next(KIB)) is not None:
            turns.append(turn[0])
            crowd.arbiter.wake(turn[0])
        assert set(turns) == {small}
        assert len(turns) < 100
        assert crowd.arbiter.next(64 * KIB) == (large, 64 * KIB)

    @pytest.mark.parametrize("weight", [1e-9, 1e-3, 1.0, 1e6])
    def test_the_scale_of_weights_costs_no_time(self, weight: float) -> None:
        names = peers(100)
        crowd = Crowd(dict.fromkeys(names, 256 * KIB), dict.fromkeys(names, weight))
        assert set(Counter(crowd.turn() for _ in range(1000)).values()) == {10}

    def test_nobody_is_asked_out_of_turn(self) -> None:
        names = peers(100)
        uneven = {name: 1.0 + index for index, name in enumerate(names)}
        crowd = Crowd(dict.fromkeys(names, 256 * KIB), uneven)
        crowd.asked = 0
        for _ in range(1000):
            crowd.turn()
        assert crowd.asked == 2000, "when it is woken, and when its turn has come"

    @pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
    def test_a_weight_is_above_zero_and_finite(self, weight: float) -> None:
        with pytest.raises(ValueError, match="weight"):
            Arbiter(lambda _: None).weigh(peers(1)[0], weight)


WHO = st.integers(0, 3)
TURNS = st.lists(
    st.tuples(st.lists(WHO, max_size=2), WHO, st.sampled_from([None, 1, 2, 3]), st.integers(1, 3)),
    max_size=60,
)


@settings(max_examples=500)
@given(st.lists(st.sampled_from([1.0, 2.0, 5.0]), min_size=4, max_size=4), TURNS)
def test_who_is_woken_with_a_turn_gets_the_one_that_it_would_get_anyhow(
    weights: list[float], turns: list[tuple[list[int], int, int | None, int]]
) -> None:
    """One arbiter is told who woke, and then asked; the other both at once."""
    names = peers(4)
    sizes: dict[DeviceId, int | None] = dict.fromkeys(names, 1)
    apart, at_once = Arbiter(sizes.get), Arbiter(sizes.get)
    for arbiter in (apart, at_once):
        for name, weight in zip(names, weights, strict=True):
            arbiter.weigh(name, weight)
    for before, index, size_bytes, room_bytes in turns:
        for other in before:
            apart.wake(names[other])
            at_once.wake(names[other])
        sizes[names[index]] = size_bytes
        apart.wake(names[index])
        assert at_once.next(room_bytes, names[index]) == apart.next(room_bytes)
