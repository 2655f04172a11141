"""A board on 64 KB/s that loses one packet in a hundred and stalls for half a minute at a time.

With real packets where the machine has network namespaces and we may use them, else by way of a
proxy whose bytes are late in bursts, as those that TCP repeats are.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from coordinator.broker import EmbeddedBroker
from coordinator.main import main
from coordinator.rehearsal.link_proxy import LinkProxy
from runtime.exits import Exit
from tests.brokers import require
from tests.commands.jobs import FLEET, JOB, write_job
from tests.trials.conftest import Tell
from tests.trials.lossy_air import HOST, LossyAir, NoNamespacesError
from tests.trials.site import Site, digest
from tests.trials.test_silent_links import SLOW_BYTES_PER_S, WIDE

pytestmark = [pytest.mark.campaign, pytest.mark.broker, pytest.mark.timeout(400)]

STALL_S = 30.0
STALLS = 2
PATIENCE_S = 200.0
# A step of the slow board is 75 KB, and takes the link more than a second.
LONG = JOB.replace("rounds = 2", "rounds = 1").replace("local_steps = 2", "local_steps = 8")
LONG = LONG.replace("batch = 4", "batch = 32")

STEPS = "emulate = { step_s = 0.1 }\n"
EMULATED = FLEET.replace('cut = "front"\n', f'cut = "front"\n{STEPS}', 1)
EMULATED = EMULATED.replace('id = "right"\n', f'id = "right"\n{STEPS}')


def _endure(site: Site, stall: Callable[[], None], resume: Callable[[], None]) -> str:
    """Stalls the link of `left` in the middle of steps; tells how the round went."""
    with site.witness() as witness:
        site.start_all()
        for _ in range(STALLS):
            witness.await_step_of("left", least_bytes=70_000)
            stall()
            time.sleep(STALL_S)
            resume()
    site.wait(PATIENCE_S)
    (only,) = site.rounds()
    assert sorted(only["devices"]) == ["left", "right"]
    assert only["devices"]["left"]["attempt"] == 1
    lost = [one["device"] for one in site.events("lost")]
    assert set(lost) == {"left"}
    took_s = only["devices"]["left"]["duration_s"]
    return f"a round in {took_s:.0f} s, {STALLS} x {STALL_S:g} s of them silent"


def _undisturbed(folder: Path) -> str:
    runs = folder / "simulated"
    job = str(folder / "job.toml")
    assert main(["simulate", job, "--learn", "--runs", str(runs)]) == Exit.OK
    return digest(runs / "latest")


def _prepare(folder: Path) -> None:
    require("mosquitto")
    write_job(folder, LONG, EMULATED)
    (folder / "model.py").write_text(WIDE)


def test_packets_that_are_lost(tmp_path: Path, tell: Tell, one_thread: None) -> None:
    _prepare(tmp_path)
    with ExitStack() as stack:
        try:
            air = stack.enter_context(LossyAir(up_kbit_per_s=512, lost_percent=1))
        except NoNamespacesError as error:
            pytest.skip(f"no network namespaces here, or no right to make them: {error}")
        with socket.create_server((HOST, 0)) as free:
            port = free.getsockname()[1]
        extra = (f"listener {port} {HOST}",)
        broker = stack.enter_context(EmbeddedBroker("mosquitto", tmp_path / "broker", extra=extra))
        way = broker.url.replace(f"127.0.0.1:{broker.port}", f"{HOST}:{port}")
        ways, words = {"left": way}, {"left": air.words}
        site = stack.enter_context(Site(tmp_path, broker, ways=ways, words=words))
        tell(_endure(site, air.stall, air.resume))
    assert site.family() == []
    assert site.digest() == _undisturbed(tmp_path)


def test_bytes_that_are_late(tmp_path: Path, tell: Tell, one_thread: None) -> None:
    _prepare(tmp_path)
    with ExitStack() as stack:
        broker = stack.enter_context(EmbeddedBroker("mosquitto", tmp_path / "broker"))
        link = LinkProxy(broker.port, up_bytes_per_s=SLOW_BYTES_PER_S, jitter_s=0.3)
        stack.enter_context(link)
        site = stack.enter_context(Site(tmp_path, broker, ways={"left": link.via(broker.url)}))
        tell(_endure(site, link.stall, link.resume))
    assert site.family() == []
    assert site.digest() == _undisturbed(tmp_path)
