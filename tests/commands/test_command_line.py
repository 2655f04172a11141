from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from coordinator import main as command
from coordinator.commands import cuts
from runtime.exits import Exit
from tests.commands.jobs import FLEET, JOB, write_job

EXAMPLE = Path(__file__).parents[2] / "examples" / "fashion_mnist"
BROKER = ("--broker", "mqtt://127.0.0.1:1")
"""Nothing listens there: what is tested here must come before the first connection."""


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str]]:
    """Runs the command and returns the exit code and the lines on stderr."""
    code = command.main(arguments)
    return code, capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(
    "words",
    [(), ("rehearse",), ("coordinator",), ("cuts",), ("data",), ("data", "partition")],
    ids=" ".join,
)
def test_help_is_quick_and_needs_no_torch(words: tuple[str, ...]) -> None:
    program = (
        "import sys, coordinator.main as command\n"
        f"try: command.main({[*words, '--help']!r})\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'torch', 'onnx', 'matplotlib', 'onnxruntime'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    began_s = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert time.monotonic() - began_s < 5
    assert "exit codes:" in ended.stdout
    for code in Exit:
        assert code.sentence in ended.stdout


@pytest.mark.parametrize(
    "words", [(), ("dance",), ("cuts",), ("coordinator", "job.toml", "--broker", "http://x")]
)
def test_a_wrong_command_line_is_a_usage_error(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(words)
    assert caught.value.code == Exit.USAGE
    assert "usage: edgesplit" in capsys.readouterr().err


def test_a_password_is_not_repeated_in_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["coordinator", "job.toml", "--broker", "mqtt://me:secret@host/path"])
    assert "secret" not in capsys.readouterr().err


@pytest.mark.parametrize("words", [("coordinator", *BROKER), ("rehearse",)])
def test_all_mistakes_of_both_files_are_told_at_once(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = JOB.replace("rounds = 2", "rounds = 0").replace("lr = 0.05", "rate = 0.05")
    path = write_job(tmp_path, job, FLEET.replace('id = "left"', 'id = "Left Board"'))
    code, lines = told(capsys, *words, str(path), "--runs", str(tmp_path / "runs"))
    assert code == Exit.CONFIG
    for file, key in (
        ("job.toml", "job.rounds"),
        ("job.toml", "optimiser.rate"),
        ("fleet.toml", "device[0].id"),
    ):
        assert [line for line in lines if line.startswith(f"{tmp_path / file}: {key}: ")], key
    assert not any("Traceback" in line for line in lines)
    assert not (tmp_path / "runs").exists()


def test_missing_files_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = told(capsys, "coordinator", str(tmp_path / "job.toml"), *BROKER)
    assert (code, len(lines)) == (Exit.CONFIG, 2)
    assert all("there is no such file" in line for line in lines)


def test_unknown_cuts_are_told_with_near_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = FLEET.replace('cut = "front"\n', 'cut = "frnot"\n').replace('"middle"', '"end"')
    path = write_job(tmp_path, JOB + '[cuts]\nminimum = "midle"\n', fleet)
    code, lines = told(capsys, "coordinator", str(path), *BROKER, "--runs", str(tmp_path / "runs"))
    assert code == Exit.CONFIG
    assert [line.partition(";")[0] for line in lines] == [
        f"{path}: cuts.minimum: the model has no cut 'midle'",
        f"{tmp_path / 'fleet.toml'}: device[0].cut: the model has no cut 'frnot'",
        f"{tmp_path / 'fleet.toml'}: device[1].cuts[1].cut: the model has no cut 'end'",
    ]
    assert "'middle'" in lines[0]
    assert "'front'" in lines[1]
    assert not (tmp_path / "runs").exists()


def test_cuts_above_the_minimum_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_job(tmp_path, JOB + '[cuts]\nminimum = "middle"\n')
    code, lines = told(capsys, "coordinator", str(path), *BROKER)
    assert code == Exit.CONFIG
    assert [line.split(": ")[1] for line in lines] == ["device[0].cut", "device[1].cuts[0].cut"]
    assert all("'front' lies above" in line and "'middle'" in line for line in lines)


@pytest.mark.parametrize("words", [("coordinator", *BROKER), ("rehearse",), ("simulate",)])
def test_cuts_that_the_fixed_planner_lacks_are_told(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = FLEET.replace('cut = "front"\n', "emulate = { step_s = 0.1 }\n")
    fleet = fleet.replace('id = "right"\n', 'id = "right"\nemulate = { step_s = 0.1 }\n')
    path = write_job(tmp_path, JOB, fleet)
    code, lines = told(capsys, *words, str(path), "--runs", str(tmp_path / "runs"))
    assert code == Exit.CONFIG
    assert len(lines) == 1
    assert lines[0].startswith(f"{tmp_path / 'fleet.toml'}: device[0].cut: left has no cut")
    assert "name = 'optimal' in [planner]" in lines[0]
    assert not (tmp_path / "runs").exists()


def test_a_model_that_cannot_be_built_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_job(tmp_path)
    (tmp_path / "model.py").write_text("def build():\n    raise ValueError('no weights')\n")
    code, lines = told(capsys, "cuts", str(path))
    assert code == Exit.MODEL
    assert "ValueError: no weights" in "\n".join(lines)
    assert not any("Traceback" in line for line in lines)


def test_only_a_run_can_be_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_job(tmp_path)
    code, lines = told(capsys, "coordinator", str(path), *BROKER, "--resume", str(tmp_path))
    assert code == Exit.STORAGE
    assert "holds no run" in lines[0]


def test_fewer_rounds_must_leave_room_for_the_warm_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_job(tmp_path, JOB + '[schedule]\nname = "constant"\nwarmup_steps = 3\n')
    code, lines = told(capsys, "rehearse", str(path), "--rounds", "1")
    assert code == Exit.CONFIG
    assert "schedule.warmup_steps" in lines[0]


def test_a_data_set_that_is_missing_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, lines = told(
        capsys, "data", "partition", str(tmp_path / "x.npz"), "--devices", "2", "--out", "."
    )
    assert code == Exit.DATA
    assert "there is no such file" in lines[0]


def test_the_cuts_of_the_example_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["cuts", str(EXAMPLE / "job.toml"), "--batch", "8"]) == Exit.OK
    output = capsys.readouterr().out
    names = [line.split()[0] for line in output.splitlines() if line]
    assert [name for name in names if name.startswith("block") and "." not in name] == [
        "block1",
        "block2",
        "block3",
    ]
    assert "batch 8" in output


def test_defects_keep_their_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_args: object) -> Exit:
        raise RuntimeError("a bug")

    monkeypatch.setattr(cuts, "run", broken)
    code, lines = told(capsys, "cuts", "job.toml")
    assert code == Exit.INTERNAL
    assert "Traceback" in lines[0]
    assert "RuntimeError: a bug" in lines


def test_ctrl_c_has_an_exit_code_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_args: object) -> Exit:
        raise KeyboardInterrupt

    monkeypatch.setattr(cuts, "run", interrupted)
    assert told(capsys, "cuts", "job.toml") == (130, ["interrupted"])
