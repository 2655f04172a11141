"""Whose words renew a lease: those of the peer, not what the broker tells for it."""

from __future__ import annotations

import pytest

from runtime.events import Tick
from runtime.frames import Session
from runtime.ids import COORDINATOR, DeviceId
from runtime.machine_effects import MachineEffect, OpenSession
from runtime.machine_events import MachineEvent, Seen, Silent
from runtime.party import Party
from runtime.presence import CoordinatorPresence, DevicePresence
from runtime.topics import Fleet
from runtime.transfers.courier import Courier, CourierLimits
from runtime.transport.base import Arrived, Up
from runtime.vigil import Rhythm
from runtime.wire import encode_json

FLEET, BOARD = Fleet("tests"), DeviceId("board")
BIRTH = encode_json(CoordinatorPresence(1, "online", "run"))
WILL = encode_json(CoordinatorPresence(1, "lost", "run"))
OWN_BIRTH = encode_json(DevicePresence(BOARD, 1, "online"))

Past = tuple[MachineEvent, ...]


def _follow(heard: Past, event: MachineEvent, now: float) -> tuple[Past, list[MachineEffect]]:
    """Remembers every event, and opens a session with a coordinator that it sees."""
    is_birth = isinstance(event, Seen) and isinstance(event.presence, CoordinatorPresence)
    opened: list[MachineEffect] = [OpenSession(COORDINATOR, Session(1, 1), pulses=True)]
    return (*heard, event), opened if is_birth and len(heard) < 2 else []


@pytest.mark.parametrize(
    ("topic", "payload", "is_silent"),
    [
        (FLEET.coordinator_state(), BIRTH, False),
        (FLEET.device_state(BOARD), OWN_BIRTH, True),
        (FLEET.coordinator_state(), WILL, True),
    ],
)
def test_an_agent_is_not_taken_in_by_its_own_birth_nor_by_a_will(
    topic: str, payload: bytes, is_silent: bool
) -> None:
    rhythm = Rhythm(pulse_s=100.0, lease_s=4.0, look_s=0.5)
    nothing: Past = ()
    party = Party(_follow, nothing, FLEET, BOARD, Courier(CourierLimits()), rhythm)
    party.handle(Up(), 0.0)
    party.handle(Arrived(FLEET.coordinator_state(), BIRTH), 0.0)
    for at_s in (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5):
        party.handle(Tick(), at_s)
    party.handle(Arrived(topic, payload), 3.6)
    for at_s in (4.0, 4.5):
        party.handle(Tick(), at_s)
    assert (Silent(COORDINATOR) in party.state) is is_silent
