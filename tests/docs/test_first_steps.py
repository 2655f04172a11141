"""The page docs/first-steps.md, run from top to bottom as a newcomer would."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from tests.brokers import require
from tests.docs.newcomer import Newcomer
from tests.docs.page import DOCS, REPOSITORY, Block, blocks

PAGE = DOCS / "first-steps.md"
PORT = "18830"


def test_example_files_are_those_of_the_page() -> None:
    shown = {block.file: block.text for block in blocks(PAGE) if block.file}
    folder = REPOSITORY / "examples" / "own_model"
    assert shown == {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


@pytest.mark.broker
def test_page_works_as_it_is_written(tmp_path: Path) -> None:
    require("mosquitto")
    _stand_in_for_the_clone(tmp_path / "edgesplit")
    with Newcomer(tmp_path, replaced=(PORT, _free_port())) as newcomer:
        printed = [newcomer.follow(block) for block in blocks(PAGE) if not _is_skipped(block)]
        assert newcomer.press_ctrl_c() == [0, 0, 0]
    summary = json.loads((newcomer.folder / "runs/latest/summary.json").read_text())
    assert (summary["rounds"], sorted(summary["devices"])) == (3, ["board-a", "board-b"])
    assert summary["accuracy"] > 0.7
    assert f"{summary['accuracy']:.2%} of 1462 images" in printed[-1]


def test_newcomer_leaves_nothing_running(tmp_path: Path) -> None:
    here = Block("sh", "bash -c 'echo $$ > alone; exec sleep 60'\n", "In a terminal of its own:")
    failing = Block("sh", "until test -s alone; do sleep 0.01; done; false\n", "")
    with (
        pytest.raises(AssertionError, match="false"),
        Newcomer(tmp_path, replaced=("", "")) as newcomer,
    ):
        newcomer.follow(here)
        newcomer.follow(failing)
    group = int((tmp_path / "alone").read_text())
    with pytest.raises(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)


def _is_skipped(block: Block) -> bool:
    """Skips what installs, and what shows output."""
    return "pip install" in block.text or block.language == "text"


def _stand_in_for_the_clone(folder: Path) -> None:
    """Makes a folder like an installed clone, with this environment in place of both."""
    folder.mkdir()
    (folder / "examples").symlink_to(REPOSITORY / "examples")
    for environment in (".venv", ".venv-agent"):
        (folder / environment).symlink_to(sys.prefix)


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])
