"""`edgesplit boards`."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordinator import main as command
from firmware_profiles.shelf import load_shelf
from runtime.exits import Exit
from tests.profiles.cards import MINIMAL, figure, write_card


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Runs `edgesplit boards` and returns the exit code and both outputs."""
    code = command.main(["boards", *words])
    output = capsys.readouterr()
    return code, output.out, output.err


def line_of(output: str, board: str) -> str:
    return next(line for line in output.splitlines() if line.split()[:1] == [board])


def test_the_list_has_a_line_for_every_board(capsys: pytest.CaptureFixture[str]) -> None:
    code, output, _ = told(capsys, "list")
    assert code == Exit.OK
    first = [line.split()[0] for line in output.splitlines()[1:] if line.strip()]
    assert set(load_shelf().cards) <= set(first)
    assert line_of(output, "rpi-4b").split()[-3:] == ["1024-8192", "14.8-18.7", "939"]
    assert line_of(output, "rpi-5").split()[-2:] == ["<70.4-75.8", "938"]
    assert line_of(output, "odroid-n2-plus").split()[-2:] == ["-", "(1000)"]
    assert "fp32 rate, usable memory, link rate" in line_of(output, "radxa-zero")


def test_supported_boards_come_first(capsys: pytest.CaptureFixture[str]) -> None:
    _, output, _ = told(capsys, "list")
    words = [word for word in output.split() if word in ("supported", "community")]
    assert words == ["supported"] * 8 + ["community"] * 8


@pytest.mark.parametrize("board", sorted(load_shelf().cards))
def test_show_prints_every_figure_with_its_source(
    board: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output, _ = told(capsys, "show", board)
    assert code == Exit.OK
    for key, found in load_shelf().card(board).figures():
        if found is None:
            assert key in output.splitlines()[-1]
        else:
            assert (
                f"{found}, {found.kind}\n    {found.how} | {found.source} | {found.date}" in output
            )


def test_a_folder_of_own_cards_goes_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = MINIMAL + f"[compute]\nfp32_effective_gflops = {figure(12.5, 'GFLOPS')}\n"
    write_card(tmp_path, own.replace('"mine"', '"rpi-5"'), name="rpi-5")
    code, output, _ = told(capsys, "list", "--boards", str(tmp_path))
    assert code == Exit.OK
    assert line_of(output, "rpi-5").split()[-2:] == ["12.5", "-"]
    _, output, _ = told(capsys, "show", "rpi-5", "--boards", str(tmp_path))
    assert "12.5 GFLOPS, measured" in output and "our own" in output


def test_an_unknown_board_is_told_with_near_names(capsys: pytest.CaptureFixture[str]) -> None:
    code, output, errors = told(capsys, "show", "rpi5")
    assert (code, output) == (Exit.CONFIG, "")
    assert errors == "boards: rpi5: there is no such board; did you mean 'rpi-5'?\n"


def test_check_accepts_a_sound_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_card(tmp_path, MINIMAL)
    assert told(capsys, "check", str(path)) == (
        Exit.OK,
        f"{path}: the card of My board with 0 figures; "
        "to measure: fp32 rate, usable memory, link rate\n",
        "",
    )


def test_check_tells_every_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_card(tmp_path, MINIMAL + "cuont = 4\n[memory]\ntotal_mib = 512\n")
    code, output, errors = told(capsys, "check", str(path))
    assert (code, output) == (Exit.CONFIG, "")
    assert errors.splitlines() == [
        f"{path}: cpu.clusters[0].cuont: there is no such key; did you mean 'count'?",
        f"{path}: memory.total_mib: 512 does not fit here; "
        "write a table { value, unit, how, source, date, kind }",
    ]


@pytest.mark.parametrize("words", [(), ("show",), ("check",), ("lsit",)])
def test_a_wrong_command_line_is_a_usage_error(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(["boards", *words])
    assert caught.value.code == Exit.USAGE
    assert "usage: edgesplit boards" in capsys.readouterr().err
