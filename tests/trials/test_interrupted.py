"""A run of the tests that ends in the middle of a test leaves nobody behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.rehearsals import family

_VICTIM = "tests/trials/test_random_kills.py::test_four_kills_leave_no_trace"
_PATIENCE_S = 40.0


def _await(count: int, folder: Path) -> list[psutil.Process]:
    """Waits until so many agents and coordinators run in a folder, or, of 0, nobody at all."""
    deadline_s = time.monotonic() + _PATIENCE_S
    while True:
        here = [one for one in family(folder) if "pytest" not in one.cmdline()]
        if len(here) >= count if count else not here:
            return here
        assert time.monotonic() < deadline_s, [one.cmdline() for one in here]
        time.sleep(0.05)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nobody_is_left_behind(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "tests"
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", _VICTIM, f"--basetemp={folder}"]
    tests = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _await(3, folder)
        tests.send_signal(number)
        tests.wait(_PATIENCE_S)
        _await(0, folder)
    finally:
        tests.kill()
        tests.wait()
        for one in family(folder):
            one.kill()
