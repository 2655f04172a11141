"""A user's model is found beside the job file, and never hides our own packages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

import runtime
from coordinator.cutting.model import build_model
from runtime.entry_point import load_function
from runtime.errors import ModelError

MODEL = """
import torch
from torch import nn
import runtime
import tests
import sizes_of_mine
from runtime.errors import ModelError

RUNTIME = runtime.__file__
SIZE = 3

def net(width=sizes_of_mine.WIDTH):
    return nn.Linear(width, 2)

def fails(width):
    raise ValueError(f"no width {width}")

def gives_text():
    return "a model"
"""


@pytest.fixture(autouse=True)
def import_state_kept() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose names collide with ours."""
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "sizes_of_mine.py").write_text("WIDTH = 5\n")
    (tmp_path / "runtime.py").write_text("raise RuntimeError('the wrong runtime')\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "__init__.py").write_text("raise RuntimeError('the wrong tests')\n")
    return tmp_path


def test_own_file_beside_colliding_names(folder: Path) -> None:
    model = build_model("model.py:net", {}, 1, folder)
    assert isinstance(model, nn.Linear)
    assert model.in_features == 5
    factory = load_function("model.py:net", folder, ModelError)
    assert factory.__globals__["RUNTIME"] == runtime.__file__
    assert factory.__module__.startswith("_edgesplit_file_")
    assert sys.path[-1] == str(folder)
    assert "model" not in sys.modules


def test_a_file_runs_once_per_content(folder: Path) -> None:
    first = load_function("model.py:net", folder, ModelError)
    assert load_function("model.py:net", folder, ModelError) is first
    assert sys.path.count(str(folder)) == 1
    (folder / "model.py").write_text(MODEL.replace("linear", "").replace("2)", "9)"))
    assert build_model("model.py:net", {"width": 4}, 1, folder).get_parameter("bias").numel() == 9


def test_a_package_beside_the_job(folder: Path) -> None:
    (folder / "my_nets").mkdir()
    (folder / "my_nets" / "small.py").write_text("from torch import nn\nNet = nn.Flatten\n")
    assert isinstance(build_model("my_nets.small:Net", {}, 1, folder), nn.Flatten)


def test_seed_decides_the_weights_and_leaves_the_caller_alone(tmp_path: Path) -> None:
    spec = "coordinator.zoo.small_cnn:small_cnn"
    args = {"widths": [4, 4], "classes": 3}
    before = torch.get_rng_state()
    one, same, other = (build_model(spec, args, seed, tmp_path) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    weights = [model.get_parameter("classifier.weight") for model in (one, same, other)]
    assert weights[0].shape == (3, 4 * 7 * 7)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("model.py", "'model.py' does not read 'package.module:function'"),
        (":net", "does not read 'package.module:function'"),
        ("model.py:", "does not read 'package.module:function'"),
        ("missing.py:net", "missing.py:net: cannot be loaded: FileNotFoundError"),
        ("no_such_package.module:net", "cannot be loaded: ModuleNotFoundError"),
        ("..model:net", "does not read|cannot be loaded"),
        ("broken.py:net", r"broken.py:net: cannot be loaded: ZeroDivisionError.*broken.py:2\)"),
        ("model.py:nett", "model.py has no function 'nett'; did you mean 'net'"),
        ("model.py:zzz", "model.py has no function 'zzz'; define it there"),
        ("model.py:SIZE", "model.py:SIZE: it is a int, not a function or class"),
        ("model.py:fails", r"with {'width': 7} failed: ValueError: no width 7 .*model.py:\d+\)"),
        ("model.py:gives_text", "failed: TypeError"),
    ],
)
def test_errors(folder: Path, spec: str, message: str) -> None:
    (folder / "broken.py").write_text("x = 0\n1 / x\n")
    with pytest.raises(ModelError, match=message):
        build_model(spec, {"width": 7}, 1, folder)


def test_a_factory_that_gives_no_module(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"returned a str, not a torch\.nn\.Module"):
        build_model("model.py:gives_text", {}, 1, folder)


def test_a_file_that_failed_is_tried_again(folder: Path) -> None:
    (folder / "late.py").write_text("import comes_later\nNet = comes_later.Net\n")
    with pytest.raises(ModelError, match="No module named 'comes_later'"):
        load_function("late.py:Net", folder, ModelError)
    (folder / "comes_later.py").write_text("class Net: ...\n")
    assert load_function("late.py:Net", folder, ModelError).__name__ == "Net"
