"""A board whose cable is pulled: no connection ends, no will is published, nothing comes."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from coordinator.broker import EmbeddedBroker
from coordinator.broker.embedded import Kind
from coordinator.rehearsal.link_proxy import LinkProxy
from tests.brokers import KINDS, require
from tests.commands.jobs import FLEET, JOB, MODEL, write_job
from tests.trials.conftest import Tell
from tests.trials.site import Site

SLOW_BYTES_PER_S = 64_000.0
BULK_BYTES = 200_000
DROPPING = JOB.replace('up = "int8"', 'up = "fp32"').replace("batch = 4", "batch = 32")
DROPPING = DROPPING.replace("rounds = 2", "rounds = 1")
DROPPING += '[policy]\nlost = "drop"\nquorum = 1\n'
# 64 channels of 6x6 in fp32, 32 samples of them: 295 KB, which take such a link 4.6 s.
WIDE = MODEL.replace("1, 4, 3", "1, 64, 3").replace("4, 4, 3", "64, 4, 3")
EMULATED = FLEET.replace('id = "right"\n', 'id = "right"\nemulate = { step_s = 0.1 }\n')
PATIENCE_S = 60.0
# What is promised is five seconds; a machine with much else to do gets as many more.
NOTICED_S = 10.0


def _noticed_after_s(folder: Path, kind: Kind, bytes_per_s: float | None) -> float:
    """Pulls the cable in the middle of a step's bulk; returns how long nobody knew.

    The round ends without the board, and so does the run.
    """
    job = DROPPING.replace("local_steps = 2", "local_steps = 20")
    write_job(folder, job, EMULATED)
    (folder / "model.py").write_text(WIDE)
    broker = EmbeddedBroker(kind, folder / "broker")
    with ExitStack() as stack:
        stack.enter_context(broker)
        link = stack.enter_context(LinkProxy(broker.port, up_bytes_per_s=bytes_per_s))
        site = stack.enter_context(Site(folder, broker, ways={"left": link.via(broker.url)}))
        witness = stack.enter_context(site.witness())
        site.start_all()
        witness.await_step_of("left", least_bytes=BULK_BYTES)
        time.sleep(0.5)
        link.half_open()
        silent_s = time.time()
        lost_s = site.await_event("lost", silent_s, NOTICED_S, device="left")
        site.await_event("device dropped", silent_s, NOTICED_S, device="left", round=1)
        site.wait(PATIENCE_S)
        (only,) = site.rounds()
        assert [one["device"] for one in only["dropped"]] == ["left"]
        assert list(only["devices"]) == ["right"]
    assert site.family() == []
    return lost_s - silent_s


@pytest.mark.timeout(150)
def test_a_slow_link_that_falls_silent_in_the_middle_of_bulk_is_noticed(tmp_path: Path) -> None:
    _noticed_after_s(tmp_path, "iotcore", SLOW_BYTES_PER_S)


@pytest.mark.campaign
@pytest.mark.timeout(300)
@pytest.mark.parametrize("bytes_per_s", [None, SLOW_BYTES_PER_S])
@pytest.mark.parametrize("kind", KINDS)
def test_silence_is_noticed(
    tmp_path: Path, kind: Kind, bytes_per_s: float | None, tell: Tell
) -> None:
    require(kind)
    noticed_s = []
    for number in range(3):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        noticed_s.append(_noticed_after_s(folder, kind, bytes_per_s))
    tell(f"noticed after {', '.join(f'{one:.2f}' for one in noticed_s)} s")
