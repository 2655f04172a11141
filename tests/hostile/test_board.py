"""A hostile coordinator's programs: refused in words, and the board trains on."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from device_agent.graph_check import check_graph
from runtime.errors import ProgramError
from tests.hostile.programs import GOOD, HOSTILE, ORDERS

HARMLESS = {"a position beyond all"}
WORDS = {
    "more memory than declared": "Failed to allocate memory",
    "a mask for all the memory": "MemoryError",
    "a file of the board": "a tensor in a file",
    "a file of the board in a constant": "a tensor in a file",
    "a loop without end": "a subgraph",
    "declares too much": "bytes of memory, this board has",
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    command = [sys.executable, "-m", "tests.hostile.board", str(tmp_path_factory.mktemp("flash"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=55)
    assert done.returncode == 0, done.stderr
    return {line["case"]: line for line in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("case", [*HOSTILE, *ORDERS])
def test_a_hostile_program_is_survived(told: dict[str, dict[str, Any]], case: str) -> None:
    expected = "trained" if case in HARMLESS else "refused"
    assert told[case]["came"].startswith(expected), told[case]
    assert WORDS.get(case, "") in told[case]["came"]
    assert told[case]["after"] == "trained"
    assert told[case]["peak_bytes"] < 300e6


def test_an_honest_graph_passes() -> None:
    for graph in (GOOD.forward, GOOD.backward, GOOD.inference):
        check_graph(graph)


@pytest.mark.parametrize("size", [1, 7, 40])
def test_a_graph_that_was_cut_short_is_refused(size: int) -> None:
    with pytest.raises(ProgramError):
        check_graph(GOOD.forward[:size])
