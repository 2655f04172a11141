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


def imported(source: str, package: str) -> Iterator[str]:
    """Yields the top-level name of everything that `source`, a module of `package`, imports."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name.partition(".")[0] for alias in names)
            case ast.ImportFrom(module=module, level=0) if module:
                yield module.partition(".")[0]
            case ast.ImportFrom():
                yield package
            case ast.Call(args=[ast.Constant(value=str(name)), *_]) if _imports(node.func):
                yield name.partition(".")[0]


def _imports(function: ast.expr) -> bool:
    match function:
        case ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"):
            return True
    return False


def violations(root: Path, package: str) -> list[str]:
    """Returns every forbidden import below `root/package`, as `file: name`."""
    found = []
    for path in sorted((root / package).rglob("*.py")):
        names = set(imported(path.read_text(), package)) & FORBIDDEN[package]
        found += [f"{path.relative_to(root)}: {name}" for name in sorted(names)]
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


def test_the_checker_leaves_others_alone(tmp_path: Path) -> None:
    (tmp_path / "runtime").mkdir()
    (tmp_path / "runtime" / "fine.py").write_text("import json\nfrom . import torch\nx = 'torch'")
    assert violations(tmp_path, "runtime") == []
