"""A broker that is restarted, and a site that loses its power: the weights do not tell."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from coordinator.broker import EmbeddedBroker
from coordinator.broker.embedded import Kind
from coordinator.main import main
from coordinator.timeline import BROKER
from runtime.exits import Exit
from tests.brokers import require
from tests.commands.jobs import FLEET, JOB, write_job
from tests.trials.site import Site, digest

STEPS = "emulate = { step_s = 0.1 }\n"
EMULATED = FLEET.replace('cut = "front"\n', f'cut = "front"\n{STEPS}', 1)
EMULATED = EMULATED.replace('id = "right"\n', f'id = "right"\n{STEPS}')
SIZED = JOB.replace("rounds = 2", "rounds = 5").replace("local_steps = 2", "local_steps = 6")
PATIENCE_S = 60.0


def _broker(folder: Path, kind: Kind, persistent: bool) -> EmbeddedBroker:
    require(kind)
    extra = ["persistence true", f"persistence_location {folder}/", "autosave_interval 1"]
    return EmbeddedBroker(kind, folder, extra=extra if persistent else ())


def _undisturbed(folder: Path) -> str:
    """Returns the digest of the same job, learned in virtual time."""
    runs = folder / "simulated"
    job = str(folder / "job.toml")
    assert main(["simulate", job, "--learn", "--runs", str(runs)]) == Exit.OK
    return digest(runs / "latest")


def _restart_everything(folder: Path, broker: EmbeddedBroker, dark_s: float) -> None:
    """Restarts the broker after a crash and in order, then cuts the power of all."""
    write_job(folder, SIZED, EMULATED)
    with Site(folder, broker) as site:
        with site.witness() as witness:
            site.start_all()
            for closed, end in enumerate((broker.kill, broker.stop)):
                site.await_rounds(closed)
                witness.await_step()
                end()
                time.sleep(dark_s)
                broker.start()
            site.await_rounds(2)
            witness.await_step()
            assert not site.is_over
            site.cut_power()
        site.start(BROKER)
        site.start_all()
        site.wait(PATIENCE_S)
        rounds = site.rounds()
        assert [one["round"] for one in rounds] == list(range(1, 6))
        assert {one["writer"] for one in rounds} == {1, 2}
    assert site.family() == []
    assert site.digest() == _undisturbed(folder)


@pytest.mark.broker
@pytest.mark.timeout(150)
@pytest.mark.campaign
def test_a_broker_that_remembers_the_dead(tmp_path: Path, one_thread: None) -> None:
    """After the power cut it tells the birth of everybody who was there before."""
    _restart_everything(tmp_path, _broker(tmp_path / "broker", "mosquitto", True), 0.3)


@pytest.mark.campaign
@pytest.mark.timeout(180)
@pytest.mark.parametrize("dark_s", [0.0, 6.0])
@pytest.mark.parametrize(
    ("kind", "persistent"), [("iotcore", False), ("mosquitto", False), ("mosquitto", True)]
)
def test_a_broker_that_comes_back(
    tmp_path: Path, kind: Kind, persistent: bool, dark_s: float, one_thread: None
) -> None:
    _restart_everything(tmp_path, _broker(tmp_path / "broker", kind, persistent), dark_s)
