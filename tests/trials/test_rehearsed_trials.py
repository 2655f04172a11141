"""Timelines played with real processes: everybody comes back, and nobody is left over."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coordinator.main import main
from coordinator.record.run_record import read_lines
from coordinator.rehearsal.round_watch import RoundWatch
from runtime.exits import Exit
from tests.commands.jobs import FLEET, write_job
from tests.rehearsals import Rehearsal

EXAMPLE = Path(__file__).parents[2] / "examples" / "changing_conditions"
# A step that takes longer than everything around it, so that no round is over in a moment.
EMULATED = FLEET.replace('cut = "front"\n', 'cut = "front"\nemulate = { step_s = 0.1 }\n').replace(
    'id = "right"\n', 'id = "right"\nemulate = { step_s = 0.1 }\n'
)
COMING_AND_GOING = """
[[timeline]]
do = "join"
device = "right"
at_s = 0.5

[[timeline]]
do = "kill"
device = "left"
round = 2
for_s = 0.2

[[timeline]]
do = "leave"
device = "right"
round = 4
for_s = 0.5

[[timeline]]
do = "slow"
device = "left"
round = 5
for_rounds = 2
times = 3
"""
FALLING = """
[[timeline]]
do = "kill"
process = "coordinator"
round = 2
for_s = 0.2

[[timeline]]
do = "kill"
process = "broker"
round = 4
for_s = 0.2

[[timeline]]
do = "cut"
device = "left"
round = 5
for_s = 1.5

[[timeline]]
do = "throttle"
device = "left"
round = 6
downlink_mbps = 0.5
"""


def _played(rehearsal: Rehearsal) -> list[tuple[Any, ...]]:
    return [
        (one["do"], one.get("device", one.get("process")), one["over"])
        for one in rehearsal.events("trial")
    ]


def test_devices_join_leave_and_are_killed(start: Callable[..., Rehearsal]) -> None:
    rehearsal = start("--rounds", "8", fleet=EMULATED + COMING_AND_GOING)
    assert rehearsal.wait() == Exit.OK, rehearsal.output()
    assert rehearsal.family() == []
    assert sorted(_played(rehearsal)) == [
        ("join", "right", False),
        ("kill", "left", False),
        ("kill", "left", True),
        ("leave", "right", False),
        ("leave", "right", True),
        ("slow", "left", False),
        ("slow", "left", True),
    ]
    rounds = read_lines(rehearsal.latest / "rounds.jsonl")
    assert [one["round"] for one in rounds] == list(range(1, 9))
    steps_s = [one["devices"]["left"]["step"]["p50_s"] for one in rounds]
    assert steps_s[5] > 2 * steps_s[0]
    assert "trial: left: kill, for 0.2 s" in rehearsal.output()
    assert "trial: left: slow is over" in rehearsal.output()
    told = [(one["device"], one["event"]) for one in rehearsal.events("left")]
    assert told == [("right", "left")]


@pytest.mark.campaign
@pytest.mark.timeout(400)
def test_the_example_of_coming_and_going(start: Callable[..., Rehearsal]) -> None:
    rehearsal = start("--fleet", str(EXAMPLE / "coming_and_going.toml"), at=EXAMPLE / "job.toml")
    assert rehearsal.process.wait(350.0) == Exit.OK, rehearsal.output()
    assert rehearsal.family() == []
    rounds = read_lines(rehearsal.latest / "rounds.jsonl")
    assert [one["round"] for one in rounds] == list(range(1, 21))
    assert sorted(rounds[0]["devices"]) == ["attic", "garage", "hall"]
    assert sorted(rounds[-1]["devices"]) == ["attic", "garage", "hall", "porch"]
    assert len(_played(rehearsal)) == 7


def test_coordinator_broker_and_link_fall_and_come_back(
    start: Callable[..., Rehearsal], tmp_path: Path, one_thread: None
) -> None:
    """The weights are those of a simulation that plays the same, and of a run without a trial."""
    rehearsal = start("--rounds", "8", fleet=EMULATED + FALLING)
    assert rehearsal.wait() == Exit.OK, rehearsal.output()
    assert rehearsal.family() == []
    assert len(_played(rehearsal)) == 7
    rounds = read_lines(rehearsal.latest / "rounds.jsonl")
    assert [one["round"] for one in rounds] == list(range(1, 9))
    assert {one["writer"] for one in rounds} == {1, 2}
    assert rehearsal.events("link down") != []
    assert _digest(rehearsal.latest) == _digest(_simulated(tmp_path, EMULATED))
    assert _digest(rehearsal.latest) == _digest(_simulated(tmp_path, EMULATED + FALLING))


def test_somebody_elses_broker_is_not_touched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = write_job(tmp_path, fleet=FLEET + FALLING)
    options = ["--broker", "mqtts://localhost:1", "--runs", str(tmp_path / "runs")]
    assert main(["rehearse", str(job), *options]) == Exit.CONFIG
    told = capsys.readouterr().err
    assert f"{tmp_path / 'fleet.toml'}: timeline[1]: the broker is not ours to kill" in told
    assert "timeline[2]: a link can only be touched on its way to an mqtt:// broker" in told
    assert not (tmp_path / "runs").exists()


def test_the_newest_round_is_read_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "plans.jsonl"
    watch = RoundWatch(path)
    assert watch.newest() == 0
    path.write_bytes(b'{"round":1}\n{"round":2}\n{"rou')
    assert watch.newest() == 2
    path.write_bytes(b'{"round":1}\n{"round":2}\n')
    assert watch.newest() == 2
    with path.open("ab") as file:
        file.write(b'{"round":3}\nnonsense\n')
    assert (watch.newest(), watch.newest()) == (3, 3)


def _simulated(folder: Path, fleet: str) -> Path:
    """Learns the same in virtual time and returns the folder of the run."""
    job, runs = write_job(folder, fleet=fleet), folder / "simulated"
    assert main(["simulate", str(job), "--learn", "--rounds", "8", "--runs", str(runs)]) == Exit.OK
    return runs / "latest"


def _digest(run: Path) -> str:
    digest: str = json.loads((run / "summary.json").read_text())["final_weights_sha256"]
    return digest
