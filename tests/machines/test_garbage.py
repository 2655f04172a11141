"""Noise on every topic leaves the weights as they are, and is counted."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from runtime.events import Started
from runtime.frames import Chunk, Grant, Offer, Receipt, Session
from runtime.host import Host
from runtime.ids import COORDINATOR, DeviceId
from runtime.letters import LETTERS
from runtime.topics import FRAMES, PREFIX
from runtime.transport.base import Arrived
from runtime.wire import encode
from tests.world import FLEET, NullWorld

BOARDS = (DeviceId("board-0"), DeviceId("board-1"))
LEAVES = [row for rows in FRAMES.values() for row in rows.values()]
TOPICS = [FLEET.frame(row, board) for row in LEAVES for board in BOARDS]
STATES = [FLEET.coordinator_state(), *(FLEET.device_state(board) for board in BOARDS)]
ODD = [
    f"{PREFIX}/tests/devices/board-0/{rest}" for rest in ("up/x", "down/x/y", "up", "up/chunk/z")
]
FRAMES_OF_NOBODY = [
    encode(frame)
    for frame in (
        Offer(Session(1, 99), 1, "step", 1, b"", b"x"),
        Grant(Session(99, 1), 1, ((0, 9),)),
        Chunk(Session(0, 0), 1, 0, 0, b"x"),
        Receipt(Session(-1, 2**60), 1),
    )
]


def noise(rng: random.Random) -> bytes:
    match rng.randrange(4):
        case 0:
            return rng.randbytes(rng.randrange(1, 200))
        case 1:
            return rng.choice(FRAMES_OF_NOBODY)
        case 2:
            return rng.choice([b"{}", b"[]", b'{"incarnation": true}', b"null", b"\x80", b"\xc1"])
        case _:
            return bytes(264_000)


def finished(seed: int | None) -> NullWorld:
    world = NullWorld(devices=2, rounds=3)
    world.start_all()
    rng = random.Random(seed)

    def disturb() -> None:
        topic = rng.choice([*TOPICS, *TOPICS, *STATES, *ODD])
        world.broker._publish(topic, noise(rng), retain=False)
        world.clock.call_at(world.clock.now() + 0.0003, disturb)

    if seed is not None:
        disturb()
    world.run()
    return world


@pytest.mark.parametrize("seed", range(5))
def test_noise_changes_nothing_and_is_counted(seed: int) -> None:
    calm, noisy = finished(None), finished(seed)
    assert noisy.chain == calm.chain
    assert calm.lives[COORDINATOR].party.counts() == {}
    counts: Counter[str] = Counter()
    for name in (COORDINATOR, *BOARDS):
        counts.update(noisy.lives[name].party.counts())
    expected = {"frame of another session", "foreign topic", "state does not decode"}
    spoilt = {f"oversized {row.leaf}" for row in LEAVES}
    assert expected | spoilt | {f"{row.leaf} does not decode" for row in LEAVES} <= counts.keys()
    recorded = [e for e in noisy.records.streams["events"] if e["event"] == "dropped"]
    assert 5 < len(recorded) < 60, "each kind of each peer once"


def test_letters_that_do_not_decode_are_counted() -> None:
    world = finished(None)
    party = world.lives[COORDINATOR].party
    for kind in (*LETTERS, "no-such-kind"):
        party._delivered(BOARDS[0], kind, b"\x80", 0.0)
        party._delivered(BOARDS[0], kind, b"junk", 0.0)
    assert party.counts()["letter of unknown kind"] == 2
    assert party.counts()["letter does not decode: step"] == 2


def test_forged_names_leave_a_bounded_trace() -> None:
    world = NullWorld(devices=1, rounds=1)
    world.start_all()
    party = world.lives[COORDINATOR].party
    party.handle(Started(), 0.0)
    recorded = 0
    for number in range(5_000):
        device = DeviceId(f"forged-{number}")
        for topic in (FLEET.device_state(device), FLEET.frame(FRAMES["up"]["offer"], device)):
            for payload in (b"junk", FRAMES_OF_NOBODY[0]):
                effects = party.handle(Arrived(topic, payload), 0.0)
                recorded += sum(type(effect).__name__ == "Record" for effect in effects)
    assert recorded < 1_100
    assert len(party._dropped) < 1_100
    assert len(party._accounts) == 0
    assert party.counts()["offer does not decode"] == 5_000


def test_an_abandoned_host_does_nothing_more() -> None:
    world = NullWorld(devices=1, rounds=1)
    world.start_all()
    host: Host = world.lives[BOARDS[0]].host
    host.abandon()
    host.post(Started())
    while world.clock.now() < 1.0 and world.clock.step():
        pass
    assert host.handled == 0
