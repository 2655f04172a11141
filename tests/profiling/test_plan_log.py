"""A plan log on disk is the plans that were made, and is refused where it does not belong."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordinator.fleet import Device, Fleet, FleetName
from coordinator.record.plan_log import read_plans
from coordinator.record.run_record import RunRecord
from runtime.errors import ConfigError, StorageError
from tests.profiling.live_world import LiveWorld, steady


def fleet(*names: str) -> Fleet:
    return Fleet(FleetName("tests"), device=tuple(Device(name, cut="middle") for name in names))


@pytest.fixture
def world() -> LiveWorld:
    world = LiveWorld(steady(1e9), steady(1e10), rounds=3)
    world.start_all()
    world.run()
    return world


def test_comes_back_as_it_was_made(world: LiveWorld, tmp_path: Path) -> None:
    record = RunRecord.begin(tmp_path / "run")
    for plan in world.plans.values():
        record.append("plans", plan.entry())
    record.close()
    plans = read_plans(tmp_path / "run", fleet("board-1", "board-0"))
    assert plans == world.plans
    assert all(plan.prediction and plan.prediction.round_s > 0 for plan in plans.values())


def test_plans_for_other_devices_are_refused(world: LiveWorld, tmp_path: Path) -> None:
    record = RunRecord.begin(tmp_path / "run")
    record.append("plans", world.plans[1].entry())
    record.close()
    with pytest.raises(ConfigError, match="take the fleet file of that run"):
        read_plans(tmp_path / "run", fleet("board-0", "board-7"))


@pytest.mark.parametrize("content", [None, '{"round": 1}\n'])
def test_a_folder_without_plans_is_told(content: str | None, tmp_path: Path) -> None:
    if content:
        (tmp_path / "plans.jsonl").write_text(content)
    with pytest.raises(StorageError):
        read_plans(tmp_path, fleet("board-0"))
