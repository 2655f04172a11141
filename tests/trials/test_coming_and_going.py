"""Devices that come and go while a round is on."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordinator.broker import EmbeddedBroker
from runtime.ids import COORDINATOR
from tests.commands.jobs import FLEET, JOB, write_job
from tests.trials.site import Site

STEPS = "emulate = { step_s = 0.1 }\n"
FLEET_OF_THREE = FLEET.replace('cut = "front"\n', f'cut = "front"\n{STEPS}', 1).replace(
    'id = "right"\n', f'id = "right"\n{STEPS}'
)
FLEET_OF_THREE += f'[[device]]\nid = "third"\ncut = "middle"\n{STEPS}'
GATHERING = JOB.replace("local_steps = 2", "local_steps = 20")
GATHERING += "[policy]\nquorum = 2\ngather_limit_s = 1\n"
PATIENCE_S = 60.0


@pytest.mark.timeout(150)
def test_one_joins_and_one_leaves_in_the_middle_of_a_round(tmp_path: Path) -> None:
    write_job(tmp_path, GATHERING, FLEET_OF_THREE)
    with Site(tmp_path, EmbeddedBroker("iotcore", tmp_path / "broker")) as site:
        with site.witness() as witness:
            for party in (COORDINATOR, "left", "right"):
                site.start(party)
            witness.await_step_of("right")
            site.start("third")
            site.leave("right")
        site.wait(PATIENCE_S)
        # Who leaves brings home what it has begun; the next round waits for a quorum.
        parts = [sorted(one["devices"]) for one in site.rounds()]
        assert parts == [["left", "right"], ["left", "third"]]
        assert [one["dropped"] for one in site.rounds()] == [[], []]
        assert [one["device"] for one in site.events("leaving")] == ["right"]
        assert [one["device"] for one in site.events("left")] == ["right"]
    assert site.family() == []
