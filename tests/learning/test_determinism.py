"""The same job, seed and plan give the same weights to the bit, whatever happens on the way."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from attrs import evolve

from runtime.ids import COORDINATOR, DeviceId
from runtime.transport.memory import Weather
from tests.learning import laboratory
from tests.learning.concurrent_worker import coordinator_threads
from tests.learning.laboratory import FixedCuts, ProductRun
from tests.learning.lesson import SMALL_CNN, VIT_DROPOUT, Lesson

BOARDS = (DeviceId("a"), DeviceId("b"), DeviceId("c"))
STORM = Weather(drop=0.05, duplicate=0.05, delay_s=(0.001, 0.05))
PLANS = {
    VIT_DROPOUT.name: FixedCuts(
        {"a": "embedding", "b": "blocks.0", "c": "blocks.0"}, {("c", 2): "embedding"}
    ),
    SMALL_CNN.name: FixedCuts({"a": "block1", "b": "block2", "c": "block2"}, {("c", 2): "block1"}),
}


def run_of(
    lesson: Lesson, folder: Path, *, seed: int = 5, weather: Weather | None = None, luck: int = 0
) -> ProductRun:
    """int8 both ways with every augmentation; `luck` seeds the broker's weather."""
    job = lesson.job(lesson.adam, rounds=3, local_steps=2, batch=8, codec="int8")
    job = evolve(job, job=evolve(job.training, seed=seed))
    shards = {name: lesson.data(30 + 7 * i, seed=i) for i, name in enumerate(BOARDS)}
    return laboratory.prepare(
        job,
        shards,
        PLANS[lesson.name],
        folder,
        augmentations=("flip", "shift", "noise"),
        weather=weather,
        seed=luck,
    )


def finished(run: ProductRun, order: Sequence[DeviceId] = (COORDINATOR, *BOARDS)) -> ProductRun:
    for party in order:
        run.world.start(party)
    return run.finish()


@pytest.fixture(scope="module", params=[VIT_DROPOUT, SMALL_CNN], ids=lambda lesson: lesson.name)
def lesson(request: pytest.FixtureRequest) -> Lesson:
    chosen: Lesson = request.param
    return chosen


@pytest.fixture(scope="module")
def calm(lesson: Lesson, tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> ProductRun:
    return finished(run_of(lesson, tmp_path_factory.mktemp("calm")))


def test_weather_and_the_order_of_starting_do_not_matter(
    lesson: Lesson, calm: ProductRun, tmp_path: Path
) -> None:
    run = run_of(lesson, tmp_path, weather=STORM, luck=11)
    finished(run, order=("c", "a", COORDINATOR, "b"))  # type: ignore[arg-type]
    assert run.world.clock.now() > 5 * calm.world.clock.now()
    assert run.weights_sha256 == calm.weights_sha256


@pytest.mark.parametrize("party", [COORDINATOR, BOARDS[2]])
@pytest.mark.parametrize("share", [0.35, 0.8])
def test_a_crash_does_not_matter(
    lesson: Lesson, calm: ProductRun, party: DeviceId, share: float, tmp_path: Path
) -> None:
    world = (run := run_of(lesson, tmp_path)).world
    world.start_all()
    while world.lives[party].host.handled < share * calm.world.lives[party].host.handled:
        assert world.clock.step()
    world.kill(party)
    world.clock.call_at(world.clock.now() + 0.3, lambda: world.start(party))
    run.finish()
    assert world.incarnations[party] == 2
    assert run.weights_sha256 == calm.weights_sha256


def test_the_servers_threads_do_not_matter(
    lesson: Lesson, calm: ProductRun, tmp_path: Path
) -> None:
    with coordinator_threads(3) as workers:
        run = finished(run_of(lesson, tmp_path))
    assert workers[0].most_under_way == len(BOARDS)
    assert run.weights_sha256 == calm.weights_sha256


def test_each_of_the_servers_threads_has_the_jobs_number_of_cores(
    lesson: Lesson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """oneDNN takes all cores in a thread that was not told, and sums up in another order."""
    told: dict[str, set[int]] = {}

    def spy(cores: int) -> None:
        told.setdefault(threading.current_thread().name, set()).add(cores)

    monkeypatch.setattr(torch, "set_num_threads", spy)
    with coordinator_threads(2):
        finished(run_of(lesson, tmp_path))
    assert told.pop(threading.current_thread().name) == {1}
    assert told and all(cores == {1} for cores in told.values())


def test_the_seed_does_matter(lesson: Lesson, calm: ProductRun, tmp_path: Path) -> None:
    """The proof that the tests above can fail."""
    assert finished(run_of(lesson, tmp_path, seed=6)).weights_sha256 != calm.weights_sha256
