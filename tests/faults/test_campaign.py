"""A share of `make test-faults`, and the proof that it can fail."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import attrs
import pytest

from coordinator.policy import Policy
from runtime.transport.memory import BOTH_WAYS, Way, Weather
from tests.faults.campaign import play_seed, report, tell
from tests.faults.mutations import MUTATIONS, Plant, with_positions_forgotten
from tests.faults.play import forget, play
from tests.faults.schedule import Incident, Schedule, Setting
from tests.faults.shrink import shrink

SEEDS = range(60)
TELLING = range(560, 660)
"""Seeds in which planted defects show, the last one in the 88th; the rarest in one of 100."""


@pytest.fixture
def patch() -> Iterator[pytest.MonkeyPatch]:
    forget()
    with pytest.MonkeyPatch.context() as planted:
        yield planted
    forget()


def test_what_must_hold_holds() -> None:
    verdicts = [play_seed(seed) for seed in SEEDS]
    assert [report(one) for one in verdicts if one.fault] == []
    total: Counter[str] = sum((one.tally for one in verdicts), Counter())
    # Schedules that strike nothing would prove nothing.
    for what in ("device dropped", "lost", "left", "parts trained again"):
        assert total[what] > 0, tell(verdicts)
    silences = ("silence", "silence up", "silence down", "flap")
    for kind in ("kill", "power", "cut", *silences, "leave", "hurry", "storm", "late"):
        assert any(what.startswith(f"{kind} of ") for what in total), tell(verdicts)


@pytest.mark.parametrize("ways", [("up",), ("down",), BOTH_WAYS])
def test_a_silence_in_calm_weather_is_looked_at(ways: tuple[Way, ...]) -> None:
    """Unless the device goes on to be heard, so that nobody can notice."""
    setting = Setting(2, 2, 4, Policy(), Weather())
    silence = Incident(150, "silence", (setting.names[0],), 12.0, ways)
    verdict = play(Schedule(0, setting, (silence,)))
    assert verdict.fault is None
    assert verdict.tally["silences looked at"] == ("up" in ways)


@pytest.mark.parametrize("plant", MUTATIONS)
def test_a_planted_defect_is_found(patch: pytest.MonkeyPatch, plant: Plant) -> None:
    plant(patch)
    assert any(play_seed(seed).fault for seed in TELLING)


def test_a_failure_is_shrunk_and_told(patch: pytest.MonkeyPatch) -> None:
    with_positions_forgotten(patch)
    failed = next(one for one in map(play_seed, TELLING) if one.fault)
    smallest = shrink(failed.schedule, lambda one: play(one).fault is not None)
    assert len(smallest.incidents) <= len(failed.schedule.incidents)
    assert smallest != failed.schedule
    told = report(failed)
    assert f"tests.faults.replay {failed.schedule.seed}\n" in told
    assert f"tests.faults.replay '{smallest.written()}'" in told


def test_a_schedule_comes_back_from_its_text() -> None:
    for seed in SEEDS:
        schedule = Schedule.of_seed(seed)
        assert Schedule.read(schedule.written()) == schedule == Schedule.read(str(seed))


def test_a_replay_is_exact_in_another_process() -> None:
    """Also where sets of names have another order."""
    troubled = max((Schedule.of_seed(seed) for seed in SEEDS), key=lambda one: len(one.incidents))
    here = play(attrs.evolve(troubled)).print
    for order in ("1", "2"):
        replayed = subprocess.run(
            [sys.executable, "-m", "tests.faults.replay", str(troubled.seed)],
            env={**os.environ, "PYTHONHASHSEED": order},
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"print {here}" in replayed.stdout
