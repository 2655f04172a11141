"""`edgesplit plan`: what a planner would decide, from priors alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordinator import main as command
from runtime.exits import Exit
from tests.commands.jobs import FLEET, JOB, write_job

LEFT = 'id = "left"\nemulate = { gflops = 1, uplink_mbps = 2, downlink_mbps = 4 }'
RIGHT = 'id = "right"\nemulate = { gflops = 2, uplink_mbps = 8, downlink_mbps = 8 }'
PLANNED = FLEET.replace('id = "left"', LEFT).replace('id = "right"', RIGHT)


def plan(capsys: pytest.CaptureFixture[str], job: Path, *options: str) -> tuple[int, str, str]:
    code = command.main(["plan", str(job), "--server-gflops", "40", *options])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_it_names_terms_bounds_and_bottleneck(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "round.png"
    code, out, _ = plan(capsys, write_job(tmp_path, fleet=PLANNED), "--picture", str(picture))
    assert code == Exit.OK
    assert "not measurements" in out
    for word in ("left", "right", "upload", "server", "bottleneck", "no plan is faster"):
        assert word in out
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_planners_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = plan(capsys, write_job(tmp_path, fleet=PLANNED), "--compare")
    assert code == Exit.OK
    rows = [line.split() for line in out.splitlines()]
    ratios = {row[0]: float(row[2]) for row in rows if len(row) > 3 and row[0] in COMPARED}
    assert ratios.keys() == COMPARED
    assert min(ratios.values()) >= 0.99
    assert ratios["optimal"] == 1.0


COMPARED = {"optimal", "alternating", "equal-bandwidth", "common-cut", "unpaced", "fixed"}


def test_what_no_prior_says_is_asked_for_all_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = plan(capsys, write_job(tmp_path))
    assert code == Exit.CONFIG
    for key in ("device[0].emulate.gflops", "device[1].emulate.uplink_mbps"):
        assert key in err
    assert "Traceback" not in err


def test_an_impossible_job_is_told_what_would_make_it_possible(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "round.png"
    job = write_job(tmp_path, JOB + "[server]\nmemory_mb = 0.001\n", PLANNED)
    code, out, _ = plan(capsys, job, "--compare", "--picture", str(picture))
    assert code == Exit.FLEET
    assert "to make one possible: give the server" in out
    assert "no plan: the replicas of 2 devices" in out
    assert not picture.exists()


def test_the_help_states_the_speed_that_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["plan", str(write_job(tmp_path, fleet=PLANNED))]) == Exit.OK
    taken = capsys.readouterr().out.partition(" GFLOPS")[0].split()[-1]
    with pytest.raises(SystemExit):
        command.main(["plan", "--help"])
    assert f"(default: {taken})" in " ".join(capsys.readouterr().out.split())
