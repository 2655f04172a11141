"""The transport of an emulated board: the contract, and the times of a simulated link."""

from __future__ import annotations

import pytest

from runtime.transport.base import Arrived, Flushed, Transport, Will
from runtime.transport.emulated import EmulatedTransport
from runtime.transport.link_model import Line, Link
from runtime.transport.memory import MemoryBroker, MemoryTransport
from runtime.virtual import VirtualClock
from tests.contract.networks import MemoryNetwork, Network, Party
from tests.contract.test_transport import (  # noqa: F401  (collected here with another network)
    TestComingBack,
    TestDelivery,
    TestFlushed,
    TestRetained,
    TestWill,
)
from tests.simulation.test_linked_transport import NO_WEATHER, SLOW, Ear


class EmulatedNetwork(MemoryNetwork):
    """Every party's transport is emulated to be slow, over one that is not."""

    def __init__(self) -> None:
        super().__init__()
        self._inner: dict[str, MemoryTransport] = {}

    def party(self, name: str) -> Party:
        self._inner[name] = self._broker.connect()
        transport = EmulatedTransport(self._inner[name], Link(SLOW, SLOW, name), self._clock)
        return Party(name, transport)

    def vanish(self, party: Party) -> None:
        self._inner[party.name].vanish()

    def interrupt(self, *parties: Party) -> None:
        for party in parties:
            self._inner[party.name].interrupt(1.0)


@pytest.fixture
def network() -> Network:
    return EmulatedNetwork()


class Stage:
    """A sender and a receiver, one of them on a slow link, simulated or emulated."""

    def __init__(self, *, emulated: bool) -> None:
        self.clock = VirtualClock()
        broker = MemoryBroker(self.clock, NO_WEATHER)
        line = Line(((0.0, 10_000.0),))
        link = Link(line, line)
        if emulated:
            self.inner = broker.connect()
            self.slow: Transport = EmulatedTransport(self.inner, link, self.clock)
        else:
            self.slow = self.inner = broker.connect(link)
        self.fast = broker.connect()
        self.ears = {"slow": Ear(self.clock), "fast": Ear(self.clock)}
        for transport, name in ((self.slow, "slow"), (self.fast, "fast")):
            will = Will("will", b"")
            transport.start(self.ears[name], (f"to-{name}",), will)

    def send(self, sender: Transport, topic: str, size_bytes: int) -> None:
        sender.publish(topic, bytes(size_bytes), qos=1, retain=False, expiry_s=None)

    def finish(self) -> None:
        while self.clock.step():
            pass


def _times(*, emulated: bool) -> list[list[float]]:
    stage = Stage(emulated=emulated)
    for size_bytes in (5_000, 100, 20_000):
        stage.send(stage.slow, "to-fast", size_bytes)
        stage.send(stage.fast, "to-slow", size_bytes)
    stage.finish()
    slow, fast = stage.ears["slow"], stage.ears["fast"]
    return [slow.times(Arrived), slow.times(Flushed), fast.times(Arrived)]


def test_an_emulated_link_takes_what_a_simulated_one_takes() -> None:
    emulated, simulated = _times(emulated=True), _times(emulated=False)
    assert all(len(times) == 3 for times in emulated)
    for one, other in zip(emulated, simulated, strict=True):
        assert one == pytest.approx(other)
    assert emulated[2][0] == pytest.approx(0.5, rel=0.01), "no burst goes through at once"


def test_a_farewell_is_not_lost_to_the_link() -> None:
    stage = Stage(emulated=True)
    stage.clock.call_at(1.0, lambda: stage.send(stage.slow, "to-fast", 50_000))
    stage.clock.call_at(1.1, stage.slow.stop)
    stage.finish()
    assert stage.ears["fast"].times(Arrived) == pytest.approx([1.1])


def test_what_is_on_the_link_is_lost_with_the_connection() -> None:
    stage = Stage(emulated=True)
    stage.clock.call_at(1.0, lambda: stage.send(stage.slow, "to-fast", 50_000))
    stage.clock.call_at(2.0, lambda: stage.inner.interrupt(0.5))
    stage.clock.call_at(4.0, lambda: stage.send(stage.slow, "to-fast", 10_000))
    stage.finish()
    assert stage.ears["fast"].times(Arrived) == pytest.approx([5.0], rel=0.01)
    assert stage.ears["slow"].times(Flushed) == pytest.approx([2.0, 5.0], rel=0.01)
