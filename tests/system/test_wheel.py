"""The wheel, unpacked outside the checkout, as a user gets it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"runtime", "device_agent", "coordinator", "firmware_profiles"}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what `pip install edgesplit` would install."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--wheel-dir", str(folder), "."]
    source = folder / "source"
    tracked = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT).decode().split("\0")
    for name in filter(None, tracked):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "docs/", "examples/")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run(command, cwd=source, check=True, stderr=subprocess.DEVNULL)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def python(site: Path, *arguments: str) -> str:
    """Runs Python with the unpacked wheel in front, from a folder that is not the checkout."""
    environment = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.check_output(
        [sys.executable, *arguments], cwd=site.parent, env=environment, text=True
    )


def test_only_the_four_packages_are_installed(unpacked: Path) -> None:
    folders = {path.name for path in unpacked.iterdir() if not path.name.endswith(".dist-info")}
    assert folders == PACKAGES


def test_the_board_needs_neither_torch_nor_onnx(unpacked: Path) -> None:
    (metadata,) = unpacked.glob("*.dist-info/METADATA")
    requires = Parser().parsestr(metadata.read_text()).get_all("Requires-Dist") or []
    names = (re.split("[<>=!]", line)[0] for line in requires if "extra ==" not in line)
    plain = set(names)
    assert plain == {"attrs", "cattrs", "msgpack", "numpy", "onnxruntime", "paho-mqtt"}
    loaded = python(
        unpacked, "-c", "import sys, device_agent.process as p; print(p.__file__); "
        "print(sorted({'torch', 'onnx', 'coordinator'} & set(sys.modules)))",
    ).splitlines()  # fmt: skip
    assert loaded[0].startswith(str(unpacked))
    assert loaded[1] == "[]"


@pytest.mark.parametrize("module", ["device_agent.main", "coordinator.main"])
def test_both_commands_start(unpacked: Path, module: str) -> None:
    assert "usage: edgesplit" in python(unpacked, "-m", module, "--help")
