"""The transport's contract again, over modelled links, and what outages do to them."""

from __future__ import annotations

import pytest

from runtime.transport.base import Arrived, Down, Flushed, TransportEvent, Up, Will
from runtime.transport.link_model import Line, Link
from runtime.transport.memory import MemoryBroker, MemoryTransport, Weather
from runtime.virtual import VirtualClock
from tests.contract.networks import MemoryNetwork, Network, Party
from tests.contract.test_transport import (  # noqa: F401  (collected here with another network)
    TestComingBack,
    TestDelivery,
    TestFlushed,
    TestRetained,
    TestWill,
)

SLOW = Line(((0.0, 200_000.0),), delay_s=0.02, jitter_s=0.01, loss=0.01)
NO_WEATHER = Weather(delay_s=(0.0, 0.0))


class LinkedNetwork(MemoryNetwork):
    """Every party behind a slow link with jitter and loss."""

    def party(self, name: str) -> Party:
        return Party(name, self._broker.connect(Link(SLOW, SLOW, name)))


@pytest.fixture
def network() -> Network:
    return LinkedNetwork()


class Ear:
    """Notes events with their time."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.heard: list[tuple[float, TransportEvent]] = []

    def __call__(self, event: TransportEvent) -> None:
        self.heard.append((self._clock.now(), event))

    def times(self, kind: type[TransportEvent]) -> list[float]:
        return [at_s for at_s, event in self.heard if isinstance(event, kind)]


def _start(transport: MemoryTransport, ear: Ear, *subscriptions: str) -> None:
    transport.start(ear, subscriptions, Will("will", b""))


def _finish(clock: VirtualClock) -> None:
    while clock.step():
        pass


def test_a_message_crosses_both_links_and_is_flushed_by_the_first() -> None:
    clock = VirtualClock()
    broker = MemoryBroker(clock, NO_WEATHER)
    up = Link(Line(((0.0, 1000.0),), delay_s=0.5), Line(delay_s=0.5))
    down = Link(Line(), Line(((0.0, 500.0),), delay_s=0.25))
    sender, receiver = broker.connect(up), broker.connect(down)
    told, heard = Ear(clock), Ear(clock)
    _start(sender, told)
    _start(receiver, heard, "t")
    sender.publish("t", bytes(980), qos=1, retain=False, expiry_s=None)
    _finish(clock)
    assert told.times(Flushed) == pytest.approx([2.0])
    assert heard.times(Arrived) == pytest.approx([1.5 + 2.25])


def test_an_outage_loses_what_is_on_the_link_and_its_queue() -> None:
    clock = VirtualClock()
    broker = MemoryBroker(clock, NO_WEATHER)
    line = Line(((0.0, 1020.0),))
    sender, receiver = broker.connect(Link(line, Line())), broker.connect()
    told, heard = Ear(clock), Ear(clock)
    _start(sender, told)
    _start(receiver, heard, "t")
    for _ in range(3):
        sender.publish("t", bytes(1000), qos=1, retain=False, expiry_s=None)
    clock.call_at(1.5, lambda: sender.interrupt(2.0))
    clock.call_at(3.6, lambda: sender.publish("t", bytes(1000), qos=1, retain=False, expiry_s=None))
    _finish(clock)
    assert heard.times(Arrived) == pytest.approx([1.0, 4.6])
    assert (told.times(Down), told.times(Up)) == ([1.5], [0.0, 3.5])
    assert len(told.times(Flushed)) == 4


def _send(sender: MemoryTransport, retain: bool = False) -> None:
    sender.publish("t", bytes(10), qos=1, retain=retain, expiry_s=None)


def test_a_silent_link_holds_both_directions_and_tells_nobody() -> None:
    clock = VirtualClock()
    broker = MemoryBroker(clock, NO_WEATHER)
    board, other = broker.connect(Link(Line(), Line())), broker.connect()
    told, heard = Ear(clock), Ear(clock)
    _start(board, told, "t")
    _start(other, heard, "t")
    clock.call_at(1.0, lambda: board.silence(15.0))
    clock.call_at(2.0, lambda: _send(board))
    clock.call_at(3.0, lambda: _send(other))
    clock.call_at(5.0, board.resume)
    _finish(clock)
    assert heard.times(Arrived) == [3.0, 5.0]
    assert told.times(Arrived) == [5.0, 5.0]
    assert told.times(Flushed) == [5.0]
    assert told.times(Down) == []


def test_a_link_that_is_silent_for_long_is_given_up_by_both_ends() -> None:
    clock = VirtualClock()
    broker = MemoryBroker(clock, NO_WEATHER)
    board, other = broker.connect(Link(Line(), Line())), broker.connect()
    told, heard = Ear(clock), Ear(clock)
    board.start(told, ("t",), Will("t", b"gone"))
    _start(other, heard, "t")
    clock.call_at(1.0, lambda: board.silence(15.0))
    clock.call_at(2.0, lambda: _send(board))
    clock.call_at(30.0, board.resume)
    clock.call_at(31.0, lambda: _send(board))
    _finish(clock)
    assert (told.times(Down), told.times(Up)) == ([16.0], [0.0, 30.0])
    assert [(at_s, event.payload) for at_s, event in heard.heard if isinstance(event, Arrived)] == [
        (16.0, b"gone"),
        (31.0, bytes(10)),
    ]


def test_who_starts_behind_a_silent_link_comes_when_it_speaks() -> None:
    clock = VirtualClock()
    board, told = MemoryBroker(clock, NO_WEATHER).connect(Link(Line(), Line())), Ear(clock)
    board.silence(15.0)
    _start(board, told, "t")
    clock.call_at(40.0, board.resume)
    _finish(clock)
    assert told.times(Up) == [40.0]


def test_a_killed_broker_forgets_and_everybody_comes_back() -> None:
    clock = VirtualClock()
    broker = MemoryBroker(clock, NO_WEATHER)
    ears = [Ear(clock), Ear(clock)]
    transports = [broker.connect(), broker.connect(Link(Line(), Line()))]
    for transport, ear in zip(transports, ears, strict=True):
        _start(transport, ear, "t")
    clock.call_at(1.0, lambda: _send(transports[0], retain=True))
    clock.call_at(2.0, broker.kill)
    clock.call_at(3.0, lambda: _send(transports[1]))
    clock.call_at(4.0, broker.revive)
    clock.call_at(5.0, lambda: _send(transports[1]))
    _finish(clock)
    for ear in ears:
        assert (ear.times(Down), ear.times(Up)) == ([2.0], [0.0, 4.0])
        assert ear.times(Arrived) == [1.0, 5.0]
