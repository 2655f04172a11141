"""What a party says of itself is counted where the broker's word of it is."""

from __future__ import annotations

import pytest

from runtime.effects import Effect, Publish
from runtime.events import Tick
from runtime.frames import Session
from runtime.ids import COORDINATOR, DeviceId
from runtime.machine_effects import Announce, MachineEffect, OpenSession
from runtime.machine_events import LinkUp, MachineEvent
from runtime.party import Party
from runtime.presence import DevicePresence
from runtime.topics import Fleet
from runtime.transfers.courier import Courier, CourierLimits
from runtime.transport.base import Flushed, Up
from runtime.vigil import Rhythm

FLEET, BOARD = Fleet("tests"), DeviceId("board")


def _announces(told: int, event: MachineEvent, now: float) -> tuple[int, list[MachineEffect]]:
    if not isinstance(event, LinkUp):
        return told, []
    announced = Announce(DevicePresence(BOARD, 1, "online"))
    return told + 1, [announced, OpenSession(COORDINATOR, Session(1, 1), pulses=True)]


def _published_bytes(effects: list[Effect]) -> list[int]:
    return [len(one.payload) for one in effects if isinstance(one, Publish)]


@pytest.mark.parametrize("connections", [1, 2])
def test_births_and_pulses_are_under_way_until_they_are_taken(connections: int) -> None:
    courier = Courier(CourierLimits())
    party = Party(_announces, 0, FLEET, BOARD, courier, Rhythm(1.5, 100.0, 100.0))
    sent_bytes: list[int] = []
    for at_s in range(connections):
        sent_bytes = _published_bytes(party.handle(Up(), float(at_s)))
    sent_bytes += _published_bytes(party.handle(Tick(), connections + 2.0))
    assert len(sent_bytes) == connections + 1
    assert courier._sending.window.in_flight_bytes == sum(sent_bytes)
    for size_bytes in sent_bytes:
        party.handle(Flushed(size_bytes), connections + 2.1)
    assert courier._sending.window.in_flight_bytes == 0
    assert courier._sending.window._trip.shortest_s == pytest.approx(3.1)
