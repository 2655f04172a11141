"""Soaks of two minutes with real processes, under both policies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.campaign
@pytest.mark.parametrize("lost", ["wait", "drop"])
def test_two_minutes_leak_nothing(tmp_path: Path, lost: str) -> None:
    command = [sys.executable, "-m", "tests.soak", "--seconds", "120", "--lost", lost]
    ended = subprocess.run(
        [*command, "--out", str(tmp_path)], check=False, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout
    assert "all kept" in ended.stdout
