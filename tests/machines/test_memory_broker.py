"""What the memory broker owes beyond the contract: ups and downs in order, whatever the weather."""

from __future__ import annotations

import pytest

from runtime.ids import COORDINATOR, DeviceId
from runtime.transport.base import Down, TransportEvent, Up, Will
from runtime.transport.link_model import Line, Link
from runtime.transport.memory import BOTH_WAYS, MemoryBroker, MemoryTransport, Way, Weather
from runtime.transport.topic_tree import TopicTree
from runtime.virtual import VirtualClock
from tests.world import NullWorld

WILL = Will("will", b"")


@pytest.mark.parametrize("seed", range(10))
def test_ups_and_downs_come_in_order_though_messages_are_late(seed: int) -> None:
    clock = VirtualClock()
    told: list[TransportEvent] = []
    transport = MemoryBroker(clock, Weather(delay_s=(0.0, 1.0)), seed).connect()
    transport.start(told.append, (), WILL)
    for at_s in (0.01, 0.05, 0.5):
        clock.call_at(at_s, lambda: transport.interrupt(0.001))
    while clock.step():
        pass
    assert [type(event) for event in told] == [Up, Down] * 3 + [Up]


def test_a_second_cut_extends_the_outage() -> None:
    clock = VirtualClock()
    ups: list[float] = []
    transport = MemoryBroker(clock).connect()
    transport.start(
        lambda event: ups.append(clock.now()) if isinstance(event, Up) else None, (), WILL
    )
    clock.call_at(1.0, lambda: transport.interrupt(1.0))
    clock.call_at(1.5, lambda: transport.interrupt(1.0))
    while clock.step():
        pass
    assert ups == [0.0, 2.5]


class Pair:
    """Two transports: what each of them is told."""

    def __init__(self, linked: bool) -> None:
        self.clock = VirtualClock()
        broker = MemoryBroker(self.clock)
        line = Line(((0.0, 1e6),), delay_s=0.01)
        self.silent = broker.connect(Link(line, line) if linked else None)
        self.other = broker.connect()
        self.told: dict[MemoryTransport, list[TransportEvent]] = {self.silent: [], self.other: []}
        self.silent.start(self.told[self.silent].append, ("down",), WILL)
        self.other.start(self.told[self.other].append, ("up",), WILL)
        self.run_to(1.0)

    def run_to(self, at_s: float) -> None:
        self.clock.call_at(at_s, lambda: None)
        while self.clock.now() < at_s:
            assert self.clock.step()

    def speak(self) -> None:
        self.silent.publish("up", b"up", qos=1, retain=False, expiry_s=None)
        self.other.publish("down", b"down", qos=1, retain=False, expiry_s=None)

    def heard(self, transport: MemoryTransport) -> list[str]:
        """Returns the kinds of what came, in order of name."""
        told = self.told[transport]
        return sorted(type(one).__name__ for one in told if not isinstance(one, Up))


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("ways", [("up",), ("down",), BOTH_WAYS])
class TestSilence:
    def test_holds_what_goes_these_ways(self, ways: tuple[Way, ...], linked: bool) -> None:
        pair = Pair(linked)
        pair.silent.silence(15.0, ways)
        pair.speak()
        pair.run_to(2.0)
        assert pair.heard(pair.silent) == ["Arrived"] * ("down" not in ways)
        assert pair.heard(pair.other) == ["Arrived"] * ("up" not in ways) + ["Flushed"]
        pair.silent.resume()
        pair.run_to(3.0)
        assert pair.heard(pair.silent) == ["Arrived", "Flushed"]
        assert pair.heard(pair.other) == ["Arrived", "Flushed"]

    def test_is_borne_for_a_time(self, ways: tuple[Way, ...], linked: bool) -> None:
        pair = Pair(linked)
        pair.silent.silence(15.0, ways)
        pair.speak()
        pair.run_to(20.0)
        assert isinstance(pair.told[pair.silent][-1], Down)
        pair.silent.resume()
        pair.run_to(21.0)
        assert isinstance(pair.told[pair.silent][-1], Up)
        assert pair.heard(pair.other) == ["Arrived"] * ("up" not in ways) + ["Flushed"]


@pytest.mark.parametrize("seed", range(10))
def test_short_cuts_in_a_storm_change_nothing(seed: int) -> None:
    calm = NullWorld(devices=2, rounds=2)
    stormy = NullWorld(
        devices=2, rounds=2, weather=Weather(0.1, 0.1, delay_s=(0.001, 0.3)), seed=seed
    )
    for world in (calm, stormy):
        world.start_all()
    for index, name in enumerate((COORDINATOR, DeviceId("board-0"), DeviceId("board-1")) * 4):
        at_s = 0.1 + 0.15 * index
        stormy.clock.call_at(
            at_s, lambda n=name: stormy.lives[n].transport.interrupt(0.01)  # type: ignore[misc]
        )  # fmt: skip
    for world in (calm, stormy):
        world.run(until_s=600.0)
    assert stormy.chain == calm.chain


@pytest.mark.parametrize(
    ("filter", "topic", "matches"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a", False),
        ("a/b", "a/b/c", False),
        ("a/+", "a/b", True),
        ("a/+", "a", False),
        ("a/+", "a/b/c", False),
        ("+/b", "a/b", True),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("a/#", "b/a", False),
        ("#", "a/b", True),
        ("+/+/#", "a", False),
        ("+/+/#", "a/b", True),
    ],
)
def test_filters_match_as_mqtt_says(filter: str, topic: str, matches: bool) -> None:
    by_filter, by_topic = TopicTree[int](), TopicTree[int]()
    by_filter.at(filter).append(1)
    by_topic.at(topic).append(1)
    assert list(by_filter.filters_matching(topic)) == [1] * matches
    assert list(by_topic.topics_matching(filter)) == [1] * matches
