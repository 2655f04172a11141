"""Processes that are killed in mid-round while a live planner is on: nothing of it is in the end.

What counts is the weights: an undisturbed run that repeats the plans has the same.
"""

from __future__ import annotations

import random
import statistics
import time
from pathlib import Path

import pytest

from coordinator.broker import EmbeddedBroker
from coordinator.broker.embedded import Kind
from coordinator.main import main
from coordinator.timeline import BROKER
from runtime.exits import Exit
from runtime.ids import COORDINATOR
from tests.brokers import KINDS, require
from tests.commands.jobs import JOB, write_job
from tests.trials.conftest import Tell
from tests.trials.site import Site, digest
from tests.trials.witness import Witness

LIVE = JOB + '[planner]\nname = "optimal"\n[policy]\nwait_limit_s = 30\n'
SLOW = "emulate = { step_s = 0.1, uplink_mbps = 20, downlink_mbps = 20 }"
FLEET_OF_TWO = f"""
[fleet]
name = "tiny"

[data]
source = "train.npz"

[[device]]
id = "left"
{SLOW}

[[device]]
id = "right"
{SLOW}
"""
LEFT, RIGHT = "left", "right"
PATIENCE_S = 120.0


def _job(rounds: int, local_steps: int) -> str:
    sized = LIVE.replace("rounds = 2", f"rounds = {rounds}")
    return sized.replace("local_steps = 2", f"local_steps = {local_steps}")


def _disturb(
    site: Site, witness: Witness, victims: list[str], dice: random.Random, pause_s: float
) -> list[float]:
    """Kills one after the other, up to `pause_s` after a step was sent.

    Returns how long after its start each agent sent the first step.
    """
    restarts_s = []
    for victim in victims:
        witness.await_step()
        time.sleep(dice.uniform(0.0, pause_s))
        assert not site.is_over, "the run ended before the last kill"
        before = witness.newest(victim)
        site.kill(victim)
        time.sleep(dice.uniform(0.0, 0.5))
        began_s = site.start(victim)
        if victim != BROKER:
            step = witness.await_step_with(victim, after=before)
            if victim != COORDINATOR:
                restarts_s.append(step.at_s - began_s)
    return restarts_s


def _hold(site: Site, victims: list[str]) -> None:
    """Every round is on record once, and nobody was dropped."""
    rounds = site.rounds()
    assert [one["round"] for one in rounds] == list(range(1, len(rounds) + 1))
    assert [one["dropped"] for one in rounds if one.get("dropped")] == []
    # A coordinator that was killed before it closed a round wrote none.
    assert rounds[-1]["writer"] <= 1 + victims.count(COORDINATOR)


@pytest.mark.timeout(150)
def test_four_kills_leave_no_trace(tmp_path: Path, one_thread: None) -> None:
    job = write_job(tmp_path, _job(6, 6), FLEET_OF_TWO)
    victims = [LEFT, BROKER, RIGHT, COORDINATOR]
    with Site(tmp_path, EmbeddedBroker("iotcore", tmp_path / "broker")) as site:
        with site.witness() as witness:
            site.start_all()
            _disturb(site, witness, victims, random.Random(0), 0.3)
        site.wait(PATIENCE_S)
        _hold(site, victims)
    assert site.family() == []
    runs = tmp_path / "simulated"
    assert (
        main(["simulate", str(job), "--learn", "--plans", str(site.run), "--runs", str(runs)])
        == Exit.OK
    )
    assert site.digest() == digest(runs / "latest")


@pytest.mark.campaign
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS)
def test_thirty_random_kills_leave_no_trace(tmp_path: Path, kind: Kind, tell: Tell) -> None:
    require(kind)
    dice = random.Random(7)
    write_job(tmp_path, _job(60, 8), FLEET_OF_TWO)
    victims = dice.choices((LEFT, RIGHT, LEFT, RIGHT, COORDINATOR, BROKER), k=30)
    with Site(tmp_path, EmbeddedBroker(kind, tmp_path / "broker")) as site:
        with site.witness() as witness:
            site.start_all()
            restarts_s = _disturb(site, witness, victims, dice, 1.0)
        site.wait(PATIENCE_S)
        _hold(site, victims)
        again = ("--plans", str(site.run))
        with Site(tmp_path, site.broker, options=again, name="again") as undisturbed:
            undisturbed.start_all()
            undisturbed.wait(PATIENCE_S)
        assert {one["writer"] for one in undisturbed.rounds()} == {1}
        assert site.digest() == undisturbed.digest()
    assert site.family() == []
    told = f"median {statistics.median(restarts_s):.2f} s, longest {max(restarts_s):.2f} s"
    tell(f"{len(restarts_s)} agents from start to first step: {told}")
    assert statistics.median(restarts_s) < 3.0
