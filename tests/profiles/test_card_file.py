"""Wrong cards: every problem at once, each with its file, its key and its fix."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from firmware_profiles.card_file import examine_card, read_card
from firmware_profiles.errors import CardError, CardProblem
from tests.profiles.cards import MINIMAL, figure, write_card

BOARDS = Path(__file__).parents[2] / "firmware_profiles" / "boards"
WORTHLESS = (
    "1",
    "-1",
    "nan",
    '""',
    '"x"',
    "true",
    "[]",
    '["x"]',
    "[[]]",
    "[{}]",
    "{ x = 1 }",
    "2026-11-21",
    "2026-11-21T10:00:00",
)


def problems(path: Path) -> dict[str, CardProblem]:
    with pytest.raises(CardError) as caught:
        read_card(path)
    assert all(problem.file == str(path) for problem in caught.value.problems)
    return {problem.key: problem for problem in caught.value.problems}


def refused(folder: Path, text: str) -> dict[str, str]:
    """Returns message and fix of every problem of the minimal card with `text` behind it."""
    found = problems(write_card(folder, MINIMAL + text)).items()
    return {key: f"{problem.message}; {problem.fix}" for key, problem in found}


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = f"""
id = "Mine"
status = "suported"
nmae = "My board"

[cpu]
arch = ""
clusters = [{{ core = "Cortex-A53", count = 0 }}, {{ core = 53, coutn = 4 }}]

[memory]
usable_mib = {figure(427, "MB")}
memcpy_mb_per_s = {{ value = -1, unit = "MB/s", how = " ", kind = "guessed", date = "today" }}

[power]
modes_w = [{figure(5, "W")}, {figure(10, "kW")}, {figure(15, "mW")}]
"""
    found = problems(write_card(tmp_path, text))
    fixes = {key: f"{problem.message}; {problem.fix}" for key, problem in found.items()}
    assert fixes == {
        "id": "'Mine' cannot be an id; write 1 to 48 of a-z, 0-9 and '-'",
        "name": "it is missing; add a text in quotes",
        "nmae": "there is no such key; did you mean 'name'?",
        "status": "there is no 'suported'; did you mean 'supported'?",
        "cpu.arch": "it is empty; write it",
        "cpu.source": "it is missing; add a text in quotes",
        "cpu.date": "it is missing; add a date, 2026-11-21 for instance (without quotes)",
        "cpu.clusters[0].count": "0 is not above 0; write what was found, or leave it out",
        "cpu.clusters[1].core": "53 does not fit here; write a text in quotes",
        "cpu.clusters[1].count": "it is missing; add a whole number",
        "cpu.clusters[1].coutn": "there is no such key; did you mean 'count'?",
        "memory.usable_mib.unit": "'MB' is not the unit of usable_mib; write 'MiB'",
        "memory.memcpy_mb_per_s.value": (
            "-1.0 is not above 0; write what was found, or leave it out"
        ),
        "memory.memcpy_mb_per_s.how": "it is empty; write it",
        "memory.memcpy_mb_per_s.kind": (
            "there is no 'guessed'; choose from measured, derived, stated"
        ),
        "memory.memcpy_mb_per_s.date": (
            "the text 'today' does not fit here; "
            "write a date, 2026-11-21 for instance (without quotes)"
        ),
        "memory.memcpy_mb_per_s.source": "it is missing; add a text in quotes",
        "power.modes_w[1].unit": "'kW' is not the unit of modes_w; write 'W'",
        "power.modes_w[2].unit": "'mW' is not the unit of modes_w; write 'W'",
    }


def test_a_bare_number_is_no_figure(tmp_path: Path) -> None:
    assert refused(tmp_path, "[memory]\ntotal_mib = 1024\n") == {
        "memory.total_mib": (
            "1024 does not fit here; write a table { value, unit, how, source, date, kind }"
        )
    }


def test_a_range_has_to_rise(tmp_path: Path) -> None:
    wrong = figure(8, "GFLOPS", ", high = 7")
    assert refused(tmp_path, f"[compute]\nfp64_hpl_gflops = {wrong}\n") == {
        "compute.fp64_hpl_gflops.high": "7.0 is not above 8.0; write value < high"
    }


@pytest.mark.parametrize(
    ("key", "before", "after"),
    [
        ("cpu.date", "2026-01-02", "2026-01-02T10:00:00"),
        ("cpu.date", "2026-01-02", '"2026-01-02"'),
        ("cpu.clusters[0].count", "= 4", "= true"),
        ("cpu.clusters[0].count", "= 4", "= 4.0"),
        ("cpu.arch", '"aarch64"', "64"),
    ],
)
def test_a_value_of_another_type_is_not_converted(
    tmp_path: Path, key: str, before: str, after: str
) -> None:
    assert set(problems(write_card(tmp_path, MINIMAL.replace(before, after)))) == {key}


@pytest.mark.parametrize("text", ["cpu = 1", "cpu = [1]", "cpu = []", 'cpu = "fast"'])
def test_a_table_has_to_be_one(tmp_path: Path, text: str) -> None:
    head = 'id = "mine"\nname = "My board"\nstatus = "eol"\n'
    assert set(problems(write_card(tmp_path, head + text))) == {"cpu"}


def test_the_file_is_called_after_its_board(tmp_path: Path) -> None:
    problem = problems(write_card(tmp_path, MINIMAL, name="yours"))["id"]
    assert problem.message == "the file is called yours.toml"
    assert problem.fix == "call the file mine.toml or write id = 'yours'"


def test_files_that_hold_no_card_at_all(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    for path in (
        tmp_path / "missing.toml",
        tmp_path / "latin.toml",
        write_card(tmp_path, "id = ", name="broken"),
        tmp_path,
    ):
        (problem,) = problems(path).values()
        assert problem.key == "(file)"
        assert problem.message.startswith("it cannot be read: ")


@pytest.mark.parametrize("board", ["rpi-3b-plus", "jetson-nano"])
@pytest.mark.parametrize("value", WORTHLESS)
def test_no_value_anywhere_is_more_than_a_problem(tmp_path: Path, board: str, value: str) -> None:
    """Puts `value` in the place of every scalar and list, and reads the card each time."""
    text = (BOARDS / f"{board}.toml").read_text()
    places = list(re.finditer(r'(?<== )("[^"]*"|\[[^\[\]]*\]|[\d.-]+|true|false)', text))
    assert len(places) > 60
    refusals = 0
    for place in places:
        changed = text[: place.start()] + value + text[place.end() :]
        card, found = examine_card(write_card(tmp_path, changed, name=board))
        assert (card is None) == bool(found)
        assert all(problem.key and problem.message and problem.fix for problem in found)
        refusals += card is None
    assert refusals > len(places) / 4
