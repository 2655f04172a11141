"""The whole path in a second: two boards, one round, no sockets, no learning."""

from __future__ import annotations

from runtime.exits import Exit
from tests.world import NullWorld


def test_two_boards_train_a_round() -> None:
    world = NullWorld(devices=2, rounds=1)
    world.start_all()
    halt = world.run()
    assert halt.code is Exit.OK
    (entry,) = world.records.streams["rounds"]
    assert {name: facts["samples"] for name, facts in entry["devices"].items()} == {
        "board-0": 8,
        "board-1": 10,
    }
    assert world.chain.hex() == entry["weights_sha256"]
