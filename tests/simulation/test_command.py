"""`edgesplit simulate`, from files to the table."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from coordinator import main as command
from runtime.exits import Exit
from tests.commands.jobs import FLEET, JOB, write_job

EMULATED = FLEET.replace(
    'cut = "front"\n', 'cut = "front"\nemulate = { gflops = 0.001 }\n'
).replace('id = "right"\n', 'id = "right"\nemulate = { step_s = 0.5, uplink_mbps = 1 }\n')
CONDITIONS = """
[shared]
uplink_mbps = 10
delay_ms = 5

[[board]]
id = "right"
loss = 0.01
jitter_ms = 3
uplink = [{ from_s = 1, mbps = 0.5 }]
outages = [{ from_s = 0.5, for_s = 0.25 }, { from_s = 1.5, for_s = 0.25 }]
"""


def simulate(folder: Path, *more: str, fleet: str = EMULATED) -> int:
    job = write_job(folder, JOB, fleet)
    return command.main(["simulate", str(job), "--runs", str(folder / "runs"), *more])


def test_it_tells_and_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate(tmp_path) == Exit.OK
    told = capsys.readouterr().out
    assert "simulated, not measured: 2 rounds of 2 boards" in told
    assert "bottleneck: right, the slowest in 2 of 2 rounds; most of its time is its own" in told
    summary = json.loads((tmp_path / "runs" / "latest" / "summary.json").read_text())
    assert summary["simulated"] is True
    assert summary["round_s"] > 1.0
    right = summary["devices"]["right"]
    assert right["compute_s"] == pytest.approx(1.0)
    assert (right["rounds_slowest"], right["idle_s"]) == (2, 0.0)
    assert summary["devices"]["left"]["idle_s"] > 0.3


def test_a_picture_is_drawn_where_one_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "round.png"
    assert simulate(tmp_path, "--picture", str(picture), "--planner", "optimal") == Exit.OK
    assert f"picture {picture}" in capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")
    summary = json.loads((tmp_path / "runs" / "latest" / "summary.json").read_text())
    assert len(summary["foretold"]["rounds"]) == 2


def test_conditions_and_learning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "conditions.toml").write_text(CONDITIONS)
    options = ("--conditions", str(tmp_path / "conditions.toml"), "--learn")
    assert simulate(tmp_path, *options, "--server-gflops", "5") == Exit.OK
    told = capsys.readouterr().out
    assert "The model has accuracy" in told
    assert "weights " in told
    assert "5.0 GFLOP/s" in told


def test_a_measured_server_is_this_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate(tmp_path, "--server-gflops", "measure") == Exit.OK
    summary = json.loads((tmp_path / "runs" / "latest" / "summary.json").read_text())
    assert 0 < summary["server_gflops"] < 1e4
    assert summary["server_gflops"] != 40.0


def test_all_problems_are_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    strange = CONDITIONS.replace('id = "right"', 'id = "write"')
    (tmp_path / "conditions.toml").write_text(strange)
    code = simulate(tmp_path, "--conditions", str(tmp_path / "conditions.toml"), fleet=FLEET)
    told = capsys.readouterr().err
    assert code == Exit.CONFIG
    assert "device[0].emulate.gflops: nothing says how fast left computes" in told
    assert "board[0].id: fleet tiny has no 'write'" in told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("loss = 0.9", "board[0].loss: 0.9 of all packets is no link"),
        (
            "outages = [{ from_s = 1, for_s = 5 }, { from_s = 3, for_s = 1 }]",
            "board[0].outages[1].from_s: the one before is not over; begin after 6",
        ),
        (
            "compute = [{ from_s = 5, times = 2 }, { from_s = 5, times = 1 }]",
            "board[0].compute[1].from_s: the times do not rise; write more than 5.0",
        ),
        ("downlink = [{ from_s = 5, mbps = 0 }]", "board[0].downlink[0].mbps: 0.0 is too small"),
        ("delay = 5", "board[0].delay"),
    ],
)
def test_wrong_conditions_are_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, told: str
) -> None:
    path = tmp_path / "conditions.toml"
    path.write_text(f'[[board]]\nid = "left"\n{line}\n')
    assert simulate(tmp_path, "--conditions", str(path)) == Exit.CONFIG
    assert f"{path}: {told}" in capsys.readouterr().err


def test_a_speed_is_a_number_or_measured(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        simulate(tmp_path, "--server-gflops", "-1")


def test_closing_is_told_and_can_be_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for option, least_s in (("2.5", 2.5), ("measure", 1e-9)):
        assert simulate(tmp_path, "--closing-s", option) == Exit.OK
        summary = json.loads((tmp_path / "runs" / "latest" / "summary.json").read_text())
        assert summary["closing_s"] >= least_s
    assert "closing it 2.500 s of that" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        simulate(tmp_path, "--closing-s", "-1")


def test_help_needs_no_torch() -> None:
    program = (
        "import sys, coordinator.main as command\n"
        "try: command.main(['simulate', '--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert not {'torch', 'onnx', 'onnxruntime'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
