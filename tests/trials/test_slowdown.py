"""A board that is made slower while it works."""

from __future__ import annotations

import time
from typing import Any

import pytest

from device_agent.stopwatch import Slowdown, Stopwatch


def _step_s(stopwatch: Stopwatch, work_s: float = 0.0) -> float:
    stopwatch.spend("forward", 1.0, lambda: time.sleep(work_s))
    stopwatch.step_done()
    return stopwatch.quantiles().max_s


def test_an_emulated_board_takes_as_many_times_its_time() -> None:
    slowdown = Slowdown()
    stopwatch = Stopwatch(0.01, slowdown)
    assert _step_s(stopwatch) == pytest.approx(0.01, rel=0.5)
    slowdown.hear({"slow": 4.0})
    assert _step_s(stopwatch) >= 0.04
    assert stopwatch.overruns == 0


def test_any_other_board_as_many_times_its_work() -> None:
    assert _step_s(Stopwatch(0.0, Slowdown(5.0)), work_s=0.01) >= 0.05


@pytest.mark.parametrize("word", [{}, {"slow": "4"}, {"slow": 0}, {"slow": float("nan")}])
def test_nonsense_changes_nothing(word: dict[str, Any]) -> None:
    slowdown = Slowdown(2.0)
    slowdown.hear(word)
    assert slowdown.times == 2.0
