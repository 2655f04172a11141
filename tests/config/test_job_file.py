from __future__ import annotations

from pathlib import Path

import pytest

from coordinator.job import Job
from runtime.config import load
from runtime.errors import ConfigError, Problem

SMALLEST = """
[job]
name = "tiny"
rounds = 2
local_steps = 5
batch = 4

[model]
factory = "model.py:build"

[input]
shape = [1, 8, 8]
classes = 3

[optimiser]
name = "sgd"
lr = 0.1

[evaluation]
source = "test.npz"
"""


def write(folder: Path, text: str) -> Path:
    (folder / "model.py").write_text("")
    path = folder / "job.toml"
    path.write_text(text)
    return path


def problems(path: Path) -> dict[str, Problem]:
    with pytest.raises(ConfigError) as caught:
        load(path, Job)
    return {problem.key: problem for problem in caught.value.problems}


def test_the_smallest_job_has_defaults(tmp_path: Path) -> None:
    job = load(write(tmp_path, SMALLEST), Job)
    assert (job.name, job.training.seed, job.base) == ("tiny", 0, tmp_path)
    assert (job.codec.up, job.codec.down) == ("int8", "int8")
    assert (job.input.dtype, job.loss.factory) == ("float32", "cross-entropy")
    assert (job.planner.name, job.cuts.minimum, job.server.mode) == ("fixed", None, "replicas")
    assert (job.schedule.name, job.evaluation.batch) == ("constant", 100)
    assert (job.server.workers, job.server.threads_per_worker) == (1, 1)


def test_the_recipe_is_the_part_that_both_sides_learn_by(tmp_path: Path) -> None:
    recipe = load(write(tmp_path, SMALLEST), Job).recipe
    assert (recipe.seed, recipe.rounds, recipe.local_steps) == (0, 2, 5)
    assert (recipe.optimiser.name, recipe.optimiser.lr) == ("sgd", 0.1)


def test_all_mistakes_of_a_job_are_reported(tmp_path: Path) -> None:
    text = """
    [job]
    name = "Tiny Job"
    rounds = 0
    local_step = 5
    batch = "4"
    [model]
    factory = "model.build"
    [input]
    shape = [1, 0]
    classes = 3
    dtype = "float64"
    [loss]
    factory = "crossentropy"
    [optimiser]
    name = "adam"
    lr = -1
    [codec]
    up = "int9"
    """
    assert set(problems(write(tmp_path, text))) == {
        "job.name",
        "job.rounds",
        "job.local_step",
        "job.local_steps",
        "job.batch",
        "model.factory",
        "input.shape",
        "input.dtype",
        "loss.factory",
        "optimiser.lr",
        "codec.up",
        "evaluation",
    }


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("model.py:build", "other.py:build", "model.factory"),
        ("[model]", '[loss]\nfactory = "loss.py:build"\n[model]', "loss.factory"),
        ("[model]", "[schedule]\nwarmup_steps = 10\n[model]", "schedule.warmup_steps"),
        ("[model]", '[planner]\nname = "best"\n[model]', "planner.name"),
        ("[model]", '[cuts]\nminimum = ""\n[model]', "cuts.minimum"),
        ("[model]", "[server]\nmemory_mb = 0\n[model]", "server.memory_mb"),
        ("[model]", '[[codec.floors]]\ncut = "a"\nup = "int4"\n[model]', "codec.floors[0].up"),
        ("shape = [1, 8, 8]", "shape = []", "input.shape"),
        ("classes = 3", "classes = 1", "input.classes"),
        ("test.npz", "test.csv", "evaluation.source"),
        ('"sgd"', '"adam"\nmomentum = 0.9', "optimiser"),
        ('"sgd"', '"lion"', "optimiser.name"),
        ('"tiny"', '"tiny"\nseed = -1', "job.seed"),
    ],
)
def test_one_mistake_is_one_problem(tmp_path: Path, old: str, new: str, key: str) -> None:
    assert old in SMALLEST
    assert list(problems(write(tmp_path, SMALLEST.replace(old, new)))) == [key]


def test_a_function_of_an_installed_module_needs_no_file(tmp_path: Path) -> None:
    text = SMALLEST.replace("model.py:build", "some.package:build")
    assert load(write(tmp_path, text), Job).model.factory == "some.package:build"


def test_the_genetic_planner_is_refused_without_pymoo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, SMALLEST.replace("[model]", '[planner]\nname = "genetic"\n[model]'))
    monkeypatch.setattr("coordinator.job.is_installed", lambda: False)
    assert list(problems(path)) == ["planner.name"]
    monkeypatch.setattr("coordinator.job.is_installed", lambda: True)
    assert load(path, Job).planner.name == "genetic"
