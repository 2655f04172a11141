"""The direction of imports: boards never load torch, and the two sides know only `runtime`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = {"runtime", "device_agent", "coordinator", "firmware_profiles"}
HEAVY = {"torch", "torchvision", "onnx", "onnxscript", "functorch"}
FORBIDDEN = {
    "firmware_profiles": OURS - {"firmware_profiles"} | HEAVY,
    "runtime": {"device_agent", "coordinator", "tests"} | HEAVY,
    "device_agent": {"coordinator", "tests"} | HEAVY,
    "coordinator": {"device_agent", "tests"},
}
# What is simulated is the agent itself, so the simulator, and nothing else, knows its parts.
SIMULATOR = "coordinator/simulation"
SIMULATED = frozenset(
    f"device_agent.{part}"
    for part in ("config", "machine", "tasks", "stopwatch", "training", "program_cache")
)


def imported(source: str, package: str) -> Iterator[str]:
    """Yields the full name of every module that `source`, a module of `package`, imports."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, level=0) if module:
                yield module
            case ast.ImportFrom():
                yield package
            case ast.Call(args=[ast.Constant(value=str(name)), *_]) if _imports(node.func):
                yield name


def _imports(function: ast.expr) -> bool:
    match function:
        case ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"):
            return True
    return False


def violations(root: Path, package: str) -> list[str]:
    """Returns every forbidden import below `root/package`, as `file: name`."""
    found = []
    for path in sorted((root / package).rglob("*.py")):
        place = path.relative_to(root)
        modules = set(imported(path.read_text(), package))
        if place.is_relative_to(SIMULATOR):
            modules -= SIMULATED
        names = {module.partition(".")[0] for module in modules} & FORBIDDEN[package]
        found += [f"{place}: {name}" for name in sorted(names)]
    return found


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_no_package_imports_what_it_must_not(package: str) -> None:
    assert violations(ROOT, package) == []


@pytest.mark.parametrize("package", sorted(OURS - {"firmware_profiles"}))
def test_the_packages_are_where_the_checker_looks(package: str) -> None:
    assert len(list((ROOT / package).rglob("*.py"))) > 5


@pytest.mark.parametrize(
    "line",
    [
        "import torch",
        "import torch.nn as nn",
        "from torch.nn import functional",
        "def late():\n    from torch import fx",
        "if TYPE_CHECKING:\n    import torch",
        "import os, torch",
        "importlib.import_module('torch.nn')",
        "__import__('torch')",
    ],
)
def test_the_checker_finds_a_planted_import(tmp_path: Path, line: str) -> None:
    module = tmp_path / "device_agent" / "deep" / "planted.py"
    module.parent.mkdir(parents=True)
    module.write_text(line)
    assert violations(tmp_path, "device_agent") == ["device_agent/deep/planted.py: torch"]


@pytest.mark.parametrize(
    ("folder", "line", "found"),
    [
        ("simulation", "from device_agent.machine import react", False),
        ("simulation", "from device_agent.process import run_agent", True),
        ("simulation", "import device_agent", True),
        ("learning", "from device_agent.machine import react", True),
        ("", "from device_agent.tasks import Forward", True),
    ],
)
def test_only_the_simulator_knows_parts_of_the_agent(
    tmp_path: Path, folder: str, line: str, found: bool
) -> None:
    module = tmp_path / "coordinator" / folder / "planted.py"
    module.parent.mkdir(parents=True)
    module.write_text(line)
    assert bool(violations(tmp_path, "coordinator")) == found


def test_the_checker_leaves_others_alone(tmp_path: Path) -> None:
    (tmp_path / "runtime").mkdir()
    (tmp_path / "runtime" / "fine.py").write_text("import json\nfrom . import torch\nx = 'torch'")
    assert violations(tmp_path, "runtime") == []
