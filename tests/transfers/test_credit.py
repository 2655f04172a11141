"""What peers may have on its way: all together, and each as its part."""

from __future__ import annotations

import zlib

import pytest

from runtime.frames import Chunk, Offer, Session
from runtime.ids import DeviceId
from runtime.transfers.account import Account
from runtime.transfers.arbiter import Arbiter
from runtime.transfers.credit import Credit
from runtime.transfers.inbox import Inbox, Part

SESSION = Session(1, 1)
MB = 1_000_000
RANGE_BYTES = 20_000


class Peer:
    """Somebody with letters of a megabyte to send."""

    def __init__(self, credit: Credit, name: str) -> None:
        self.credit, self.name = credit, DeviceId(name)
        self.account, self.inbox = Account(), Inbox(SESSION, 10 * MB)
        self.offer(1)

    def offer(self, id: int, now: float = 0.0) -> None:
        self.inbox.offered(Offer(SESSION, id, "letter", MB, bytes(32)), now)
        self.settle(now)

    def settle(self, now: float) -> None:
        self.credit.settle(self.name, self.account, self.inbox, now)

    def ask(self, now: float, length: int = RANGE_BYTES) -> int:
        """Returns the offset of what is granted."""
        _, offset = self.inbox.grant(length, now)
        self.settle(now)
        return offset

    def come(self, offset: int, now: float, length: int = RANGE_BYTES) -> None:
        data = bytes(length)
        self.inbox.arrived(Chunk(SESSION, 1, offset, zlib.crc32(data), data), now)
        self.settle(now)

    def reach(self, bytes_per_s: float, since_s: float, until_s: float) -> None:
        """Has a range on its way all the time."""
        now, offset = since_s, self.ask(since_s)
        while now < until_s:
            now += RANGE_BYTES / bytes_per_s
            after = self.ask(now)
            self.come(offset, now)
            offset = after
        self.come(offset, now + RANGE_BYTES / bytes_per_s)

    @property
    def part(self) -> Part:
        part = self.credit.part(self.name, self.account)
        assert part is not None
        return part


@pytest.fixture
def weights() -> Arbiter:
    weights = Arbiter(lambda peer: None)
    weights.weigh(DeviceId("light"), 1.0)
    weights.weigh(DeviceId("heavy"), 3.0)
    return weights


@pytest.fixture
def credit(weights: Arbiter) -> Credit:
    return Credit(weights, 8 * MB)


@pytest.fixture
def light(credit: Credit) -> Peer:
    return Peer(credit, "light")


@pytest.fixture
def heavy(credit: Credit) -> Peer:
    return Peer(credit, "heavy")


class TestParts:
    def test_what_waits_divides_by_weight(self, light: Peer, heavy: Peer) -> None:
        """Beside what fills the own link, and what has come of a range."""
        light.reach(1e6, 0.0, 0.45)
        heavy.reach(1e6, 1.0, 1.45)
        waits_bytes = [
            one.part.window_bytes / (1 + share / 16) - RANGE_BYTES
            for one, share in ((light, 0.25), (heavy, 0.75))
        ]
        assert waits_bytes == pytest.approx([0.25 * 0.14 * 2e6, 0.75 * 0.14 * 2e6], rel=0.02)

    def test_ranges_fill_a_part(self, light: Peer, heavy: Peer) -> None:
        light.reach(1e6, 0.0, 0.45)
        heavy.reach(1e6, 1.0, 1.45)
        for part in (light.part, heavy.part):
            ranges = round(part.window_bytes / part.range_bytes)
            assert 0 <= part.window_bytes - ranges * part.range_bytes < ranges

    def test_a_peer_that_sends_nothing_has_no_part(self, light: Peer, heavy: Peer) -> None:
        Peer(light.credit, "third")
        light.reach(1e6, 0.0, 0.45)
        before = light.part.range_bytes
        heavy.credit.forget(heavy.account)
        assert light.part.range_bytes > 2 * before

    def test_a_peer_that_does_not_answer_has_no_part(self, light: Peer, heavy: Peer) -> None:
        Peer(light.credit, "third")
        light.reach(1e6, 0.0, 0.45)
        before = light.part.range_bytes
        heavy.ask(1.0)
        heavy.inbox.expire(100.0)
        heavy.settle(100.0)
        heavy.ask(100.0)
        assert light.part.range_bytes > 2 * before

    def test_nothing_is_divided_for_who_is_alone(self, light: Peer, heavy: Peer) -> None:
        light.reach(1e6, 0.0, 0.45)
        heavy.credit.forget(heavy.account)
        assert light.credit.part(light.name, light.account) is None
        heavy.settle(1.0)
        assert light.part.range_bytes

    def test_nothing_is_divided_where_the_rate_is_told(self, weights: Arbiter) -> None:
        credit = Credit(weights, 8 * MB, 1e6)
        peer = Peer(credit, "light")
        peer.reach(1e6, 0.0, 0.45)
        assert credit.part(peer.name, peer.account) is None
        assert credit.room_bytes == float("inf")
        peer.ask(1.0)
        assert credit.room_bytes == 250_000 - RANGE_BYTES


class TestMeasuring:
    def test_what_is_given_up_says_nothing_of_the_rate(self, light: Peer) -> None:
        light.reach(1e6, 0.0, 0.45)
        before = light.account.rate.bytes_per_s
        light.ask(1.0, 200_000)
        light.inbox.resume()
        light.settle(1.001)
        assert light.account.rate.bytes_per_s == before

    def test_what_is_given_up_says_nothing_of_the_way(self, light: Peer) -> None:
        light.ask(0.0)
        light.inbox.expire(5.0)
        light.settle(5.0)
        assert light.account.trip.shortest_s is None

    def test_what_is_asked_for_again_says_nothing_of_the_way(self, light: Peer) -> None:
        """The first one may still come, just after it was asked for again."""
        offset = light.ask(0.0)
        light.inbox.expire(5.0)
        light.settle(5.0)
        assert light.ask(5.0) == offset
        light.come(offset, 5.001)
        assert light.account.trip.shortest_s is None

    def test_a_way_is_measured_while_nobody_else_sends(self, light: Peer, heavy: Peer) -> None:
        first = heavy.ask(0.0)
        second = light.ask(0.5)
        light.come(second, 1.0)
        heavy.come(first, 1.5)
        assert light.account.trip.shortest_s is None
        assert heavy.account.trip.shortest_s == 1.5

    def test_a_peer_that_is_lost_is_not_waited_for(self, light: Peer, heavy: Peer) -> None:
        heavy.ask(0.0)
        heavy.inbox.expire(100.0)
        heavy.settle(100.0)
        heavy.ask(100.0)
        light.come(light.ask(200.0), 200.25)
        assert light.account.trip.shortest_s == 0.25

    def test_a_peer_that_comes_back_counts_again(self, light: Peer, heavy: Peer) -> None:
        light.reach(1e6, 0.0, 0.45)
        before = light.part.range_bytes
        offset = heavy.ask(1.0)
        heavy.inbox.expire(100.0)
        heavy.settle(100.0)
        heavy.come(offset, 100.5)
        assert light.part.range_bytes <= before


def test_all_is_gone_with_the_peers(light: Peer, heavy: Peer) -> None:
    light.reach(1e6, 0.0, 0.45)
    for peer in (light, heavy):
        peer.ask(1.0)
        peer.credit.forget(peer.account)
    credit = light.credit
    assert (credit.granted_bytes, credit._answering_bytes) == (0, 0)
    assert (credit._open_weight, credit._open_bytes_per_s) == pytest.approx((0.0, 0.0))
