"""Rehearsals with real processes, and what is left of them afterwards: nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from coordinator.record.run_record import read_lines
from coordinator.rehearsal.company import RESCUES
from runtime.exits import Exit
from tests.commands.jobs import FLEET
from tests.rehearsals import Rehearsal


def test_a_rehearsal_trains_and_leaves_nobody(start: Callable[..., Rehearsal]) -> None:
    rehearsal = start("--seed", "3")
    assert rehearsal.wait() == Exit.OK, rehearsal.output()
    assert rehearsal.family() == []
    latest = rehearsal.latest
    summary = json.loads((latest / "summary.json").read_text())
    assert (summary["rounds"], summary["samples"]) == (2, 32)
    assert summary["devices"]["right"]["cuts"] == ["front", "middle"]
    assert min(one["up_bytes"] for one in summary["devices"].values()) > 0
    assert (latest / "training.png").stat().st_size > 10_000
    assert summary["final_weights_sha256"] in rehearsal.output()
    files = [latest / "broker" / "password", *latest.glob("agents/*/agent.toml")]
    assert len(files) == 3
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_nobody_outlives_a_rehearsal_that_is_killed(start: Callable[..., Rehearsal]) -> None:
    rehearsal = start("--rounds", "100000")
    rehearsal.wait_for_a_round()
    assert len(rehearsal.family()) == 5  # it, its coordinator, two agents and the broker
    rehearsal.process.kill()
    rehearsal.process.wait()
    rehearsal.wait_until(lambda: not rehearsal.family())


def test_a_rehearsal_that_is_asked_to_stop_can_be_resumed(
    start: Callable[..., Rehearsal],
) -> None:
    stopped = start("--rounds", "100000")
    stopped.wait_for_a_round()
    stopped.process.terminate()
    assert stopped.wait() == Exit.INTERRUPTED
    assert stopped.family() == []
    assert "Traceback" not in stopped.output()
    assert f"--resume {stopped.latest.resolve()}" in stopped.output()
    done = len(read_lines(stopped.latest / "rounds.jsonl"))

    resumed = start("--rounds", str(done + 1), "--resume", str(stopped.latest))
    assert resumed.wait() == Exit.OK, resumed.output()
    rounds = read_lines(resumed.latest / "rounds.jsonl")
    assert [one["round"] for one in rounds] == list(range(1, done + 2))
    assert [one["writer"] for one in rounds] == [1] * done + [2]


def test_an_agent_that_dies_is_started_again_a_few_times(start: Callable[..., Rehearsal]) -> None:
    rehearsal = start("--rounds", "100000")
    rehearsal.wait_for_a_round()
    for count in range(1, RESCUES + 1):
        rehearsal.agent("left").kill()
        rehearsal.wait_for_event("restarted", count=count)
    rehearsal.agent("left").kill()
    assert rehearsal.wait() == Exit.CHILD
    assert rehearsal.family() == []
    output = rehearsal.output()
    assert f"left: signal SIGKILL; started again (1 of {RESCUES})" in output
    assert "agent left ended too soon, with signal SIGKILL" in output


def test_a_broker_and_a_coordinator_that_die_are_started_again(
    start: Callable[..., Rehearsal],
) -> None:
    unhurried = FLEET.replace('cut = "front"\n', 'cut = "front"\nemulate = { step_s = 0.1 }\n')
    rehearsal = start("--rounds", "16", fleet=unhurried)
    rehearsal.wait_for_a_round()
    rehearsal.broker().kill()
    rehearsal.wait_for_event("restarted", process="broker")
    rehearsal.wait_for_event("link down")
    rehearsal.coordinator().kill()
    assert rehearsal.wait() == Exit.OK, rehearsal.output()
    assert rehearsal.family() == []
    rounds = read_lines(rehearsal.latest / "rounds.jsonl")
    assert [one["round"] for one in rounds] == list(range(1, 17))
    assert rounds[-1]["writer"] == 2
    assert "the coordinator: signal SIGKILL; started again (1 of" in rehearsal.output()


def test_agents_that_cannot_start_show_their_log(
    start: Callable[..., Rehearsal], tmp_path: Path
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho this board is broken; exit 12\n")
    broken.chmod(0o755)
    rehearsal = start("--agent-python", str(broken))
    assert rehearsal.wait() == Exit.CHILD
    assert rehearsal.family() == []
    assert f"exit code 12 ({Exit.DATA.sentence})" in rehearsal.output()
    assert "this board is broken" in rehearsal.output()


def test_a_missing_python_is_told(start: Callable[..., Rehearsal]) -> None:
    rehearsal = start("--agent-python", os.devnull)
    assert rehearsal.wait() == Exit.STORAGE
    assert rehearsal.family() == []
    assert f"{os.devnull} cannot be run" in rehearsal.output()
    assert "Traceback" not in rehearsal.output()
