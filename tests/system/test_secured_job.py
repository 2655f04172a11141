"""A job with real processes, a broker that asks for certificates, and boards held to branches."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from runtime.exits import Exit
from tests.broker.authority import Authority, SecuredBroker
from tests.broker.secured import authority
from tests.commands.jobs import write_job

__all__ = ["authority"]
pytestmark = [pytest.mark.broker, pytest.mark.timeout(150)]
BOARDS = ("left", "right")
PATIENCE_S = 100
Start = Callable[..., "subprocess.Popen[str]"]

AGENT = """
[agent]
device = "{board}"
fleet = "tiny"
broker = "{url}"
state_dir = "state-{board}"

[data]
source = "train.npz"
"""


@pytest.fixture
def own(authority: Authority, tmp_path: Path) -> Authority:
    """A CA that knows the boards of the job."""
    made = authority.copy(tmp_path / "ca")
    for board in BOARDS:
        made.issue(board)
    return made


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts one of our commands in the folder of the job."""
    with ExitStack() as stack:

        def begin(module: str, *arguments: str) -> subprocess.Popen[str]:
            log = stack.enter_context((tmp_path / f"{module}.log").open("a+"))
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments, "--exit-with-parent"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE if module == "coordinator.main" else log,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield begin


def _text(port: int, name: str, folder: Path, ca: str = "ca.pem") -> str:
    query = f"ca={folder}/{ca}&cert={folder}/{name}.pem&key={folder}/{name}.key"
    return f"mqtts://localhost:{port}?{query}"


def _agent_file(folder: Path, board: str, url: str) -> str:
    path = folder / f"{board}.toml"
    path.write_text(AGENT.format(board=board, url=url))
    return str(path)


def _coordinator(start: Start, folder: Path, url: str) -> subprocess.Popen[str]:
    job, runs = str(write_job(folder)), str(folder / "runs")
    return start("coordinator.main", "coordinator", job, "--broker", url, "--runs", runs)


def test_a_job_over_tls(own: Authority, start: Start, tmp_path: Path) -> None:
    with SecuredBroker(tmp_path / "broker", own, fleet="tiny") as broker:
        url = _text(broker.port, "coordinator", own.folder)
        coordinator = _coordinator(start, tmp_path, url)
        agents = [
            start(
                "device_agent.main",
                "--config",
                _agent_file(tmp_path, board, _text(broker.port, board, own.folder)),
            )
            for board in BOARDS
        ]
        _, errors = coordinator.communicate(timeout=PATIENCE_S)
        assert coordinator.returncode == Exit.OK, errors + broker.log()
        for agent in agents:
            agent.terminate()
            assert agent.wait(PATIENCE_S) == Exit.OK
        assert "u'coordinator'" in broker.log()
        assert "u'left'" in broker.log()
    summary = json.loads((tmp_path / "runs" / "latest" / "summary.json").read_text())
    assert (summary["rounds"], summary["samples"]) == (2, 32)


def test_wrong_certificates_end_both_sides_with_a_sentence(
    own: Authority, start: Start, tmp_path: Path
) -> None:
    stranger = Authority.make(tmp_path / "strange" / "checkout")
    (own.folder / "other.pem").write_bytes((stranger.folder / "ca.pem").read_bytes())
    with SecuredBroker(tmp_path / "broker", own, fleet="tiny") as broker:
        url = _text(broker.port, "coordinator", own.folder, ca="other.pem")
        coordinator = _coordinator(start, tmp_path, url)
        mixed = _text(broker.port, "left", own.folder).replace("left.key", "right.key")
        agents = {
            "is not signed by ca": _text(broker.port, "left", own.folder, ca="other.pem"),
            "does not belong to cert": mixed,
        }
        for board, url in zip(BOARDS, agents.values(), strict=True):
            agent = start("device_agent.main", "--config", _agent_file(tmp_path, board, url))
            assert agent.wait(PATIENCE_S) == Exit.BROKER
        _, errors = coordinator.communicate(timeout=PATIENCE_S)
    assert coordinator.returncode == Exit.BROKER
    assert f"is not signed by ca {own.folder}/other.pem" in errors
    told = (tmp_path / "device_agent.main.log").read_text()
    assert all(words in told for words in agents)
