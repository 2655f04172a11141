"""The stream of incidents: seeded, in order, and one that a fleet file takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordinator.fleet import Fleet
from coordinator.job import Job
from runtime.config import load_pair
from tests.soak.incidents import QUIET_PART, stream
from tests.soak.scene import ANCHOR, MORTAL, WIRED, write_scene

SECONDS = 1200.0


def test_a_seed_is_a_stream() -> None:
    assert stream(SECONDS, 1) == stream(SECONDS, 1)
    assert stream(SECONDS, 1) != stream(SECONDS, 2)
    assert len(stream(SECONDS, 1)) == pytest.approx(200, rel=0.3)


@pytest.mark.parametrize("seed", range(20))
def test_everybody_has_a_part_and_somebody_is_spared(seed: int) -> None:
    happens = stream(SECONDS, seed)
    struck = {(one.do, one.party) for one in happens.timeline}
    assert {("cut", device) for device in WIRED} | {("kill", MORTAL)} < struck
    assert {one.do for one in happens.blows} == {"reset", "half-open"}
    assert ANCHOR not in {one.party for one in happens.timeline}
    assert ANCHOR not in {one.device for one in happens.blows}
    times = [one.at_s for one in happens.blows]
    assert times == sorted(times)
    assert max(times) < SECONDS * (1 - QUIET_PART)


def test_the_scene_is_a_job_and_a_fleet(tmp_path: Path) -> None:
    happens = stream(SECONDS, 0)
    path = write_scene(tmp_path, happens.timeline, "drop")
    job, fleet = load_pair((path, Job), (tmp_path / "fleet.toml", Fleet))
    assert job.policy.drops
    assert fleet.timeline == happens.timeline
