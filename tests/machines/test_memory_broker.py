"""What the memory broker owes beyond the contract: ups and downs in order, whatever the weather."""

from __future__ import annotations

import pytest

from runtime.ids import COORDINATOR, DeviceId
from runtime.transport.base import Down, TransportEvent, Up, Will
from runtime.transport.memory import MemoryBroker, Weather
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
