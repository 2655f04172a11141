"""What a job and a fleet say of cuts is held against the model, the whole of it included."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from coordinator.cutting.cut_check import cut_problems, trace_job
from coordinator.fleet import Fleet
from coordinator.job import CodecFloor, CodecLimits, CutLimits, Job, Planner
from runtime.config import load_pair
from runtime.program import WHOLE_MODEL
from tests.commands.jobs import FLEET, write_job

JOB_PATH, FLEET_PATH = Path("job.toml"), Path("fleet.toml")


def files(folder: Path, cut: str = "front") -> tuple[Job, Fleet]:
    write_job(folder, fleet=FLEET.replace('cut = "front"\n\n', f'cut = "{cut}"\n\n'))
    return load_pair((folder / "job.toml", Job), (folder / "fleet.toml", Fleet))


def problems(job: Job, fleet: Fleet, *, output: bool = True) -> dict[str, str]:
    """Problems by key; without `output` the model has none that a device could train to."""
    traced = trace_job(job)
    traced = traced if output else evolve(traced, whole=None)
    found = cut_problems(job, JOB_PATH, fleet, FLEET_PATH, traced)
    return {one.key: one.message for one in found}


def test_a_fleet_may_name_the_whole_model(tmp_path: Path) -> None:
    job, fleet = files(tmp_path, WHOLE_MODEL)
    assert problems(job, fleet) == {}
    assert problems(evolve(job, cuts=CutLimits("middle")), fleet).keys() == {
        "device[1].cuts[0].cut"
    }, "the whole model is deeper than any minimum"
    assert problems(job, fleet, output=False).keys() == {"device[0].cut"}


def test_codec_floors_are_held_against_the_model(tmp_path: Path) -> None:
    job, fleet = files(tmp_path)
    names = ("front", "middle", "middel", "front", WHOLE_MODEL)
    floors = tuple(CodecFloor(name) for name in names)
    found = problems(evolve(job, codec=CodecLimits(floors=floors)), fleet)
    assert found == {
        "codec.floors[2].cut": "the model has no cut 'middel'",
        "codec.floors[3].cut": "codec.floors[0].cut is the same cut",
        "codec.floors[4].cut": "'whole-model' is no place to cut",
    }


def test_the_whole_model_is_no_minimum(tmp_path: Path) -> None:
    job, fleet = files(tmp_path)
    found = problems(evolve(job, cuts=CutLimits(WHOLE_MODEL)), fleet)
    assert found == {"cuts.minimum": "'whole-model' is no place to cut"}


@pytest.mark.parametrize(
    ("cuts", "planner", "key"),
    [
        (CutLimits(whole=True), Planner(), "cuts.whole"),
        (CutLimits(), Planner("full-local"), "planner.name"),
    ],
)
def test_a_model_that_only_a_server_can_finish_is_refused(
    tmp_path: Path, cuts: CutLimits, planner: Planner, key: str
) -> None:
    job, fleet = files(tmp_path)
    wanted = evolve(job, cuts=cuts, planner=planner)
    assert problems(wanted, fleet) == {}
    assert problems(wanted, fleet, output=False).keys() == {key}
