"""Transfers over mosquitto where plain MQTT fails: slow links, full queues, crowds."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coordinator.broker import EmbeddedBroker
from coordinator.rehearsal.link_proxy import LinkProxy
from runtime.broker_url import BrokerUrl
from runtime.ids import COORDINATOR, DeviceId
from runtime.letters import ProgramDelivery, ProgramRequest
from tests.broker.correspondents import Correspondent
from tests.brokers import require

pytestmark = pytest.mark.broker

LAYER_STATE_BYTES = 25_000_000
LINK_BYTES_PER_S = 2_000_000
BOARD = DeviceId("board")


@pytest.fixture
def mosquitto(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[EmbeddedBroker]:
    require("mosquitto")
    extra = getattr(request, "param", ())
    with EmbeddedBroker("mosquitto", tmp_path, extra=extra) as broker:
        yield broker


def through(proxy: LinkProxy, broker: EmbeddedBroker) -> BrokerUrl:
    return BrokerUrl.parse(broker.url.replace(f":{broker.port}", f":{proxy.port}"))


def meet(*parties: Correspondent) -> None:
    """Waits until everybody has a session with the coordinator."""
    deadline = time.monotonic() + 10
    while not all(party.party._courier._sessions for party in parties):
        assert time.monotonic() < deadline, "the parties never met"
        time.sleep(0.01)


@pytest.mark.parametrize("way", ["down", "up"])
def test_a_layer_state_leaves_room_for_control(mosquitto: EmbeddedBroker, way: str) -> None:
    body = os.urandom(LAYER_STATE_BYTES)
    limits: dict[str, Any] = {
        "up_bytes_per_s": LINK_BYTES_PER_S,
        "down_bytes_per_s": LINK_BYTES_PER_S,
    }
    with (
        LinkProxy(mosquitto.port, **limits) as proxy,
        Correspondent(BrokerUrl.parse(mosquitto.url), COORDINATOR) as coordinator,
        Correspondent(through(proxy, mosquitto), BOARD) as board,
    ):
        meet(coordinator, board)
        pair = ((coordinator, BOARD), (board, COORDINATOR))
        (sender, to), (other, back) = pair if way == "down" else pair[::-1]
        began_s = time.monotonic()
        sender.write(to, ProgramDelivery("bulk", body))
        pings_s: dict[str, float] = {}
        while not any(isinstance(r.letter, ProgramDelivery) for _, r in other.arrived):
            assert time.monotonic() - began_s < 3 * LAYER_STATE_BYTES / LINK_BYTES_PER_S
            for writer, peer in ((sender, to), (other, back)):
                digest = f"{len(pings_s)}"
                pings_s[digest] = time.monotonic()
                writer.write(peer, ProgramRequest(digest))
            time.sleep(1.0)
        lasted_s = time.monotonic() - began_s
        sender.wait_for(len(pings_s) // 2, 5)
        other.wait_for(len(pings_s) // 2 + 1, 5)
        late_s = [
            at - pings_s[r.letter.digest]
            for at, r in (*sender.arrived, *other.arrived)
            if isinstance(r.letter, ProgramRequest)
        ]
        (bulk,) = [r.letter for _, r in other.arrived if isinstance(r.letter, ProgramDelivery)]
        assert bulk.body == body
        assert float(np.quantile(late_s, 0.99)) < 1.0
        assert (coordinator.links, board.links) == (1, 1)
        assert lasted_s < 1.5 * LAYER_STATE_BYTES / LINK_BYTES_PER_S


@pytest.mark.parametrize("mosquitto", [("max_queued_messages 8",)], indirect=True)
def test_overflow_of_the_brokers_queue_loses_nothing(mosquitto: EmbeddedBroker) -> None:
    names = [DeviceId(f"board-{index}") for index in range(8)]
    with LinkProxy(mosquitto.port) as proxy, contextlib.ExitStack() as stack:
        coordinator = stack.enter_context(Correspondent(through(proxy, mosquitto), COORDINATOR))
        url = BrokerUrl.parse(mosquitto.url)
        boards = [stack.enter_context(Correspondent(url, name)) for name in names]
        meet(*boards)
        wait_until_known(coordinator, len(boards))
        proxy.stall()
        for index in range(20):
            for board in boards:
                board.write(COORDINATOR, ProgramDelivery(f"{index}", os.urandom(20_000)))
        wait_for_log(mosquitto, "being dropped")
        proxy.resume()
        coordinator.wait_for(20 * len(boards), 40)
        seen = {(r.peer, r.letter.digest) for _, r in coordinator.arrived
                if isinstance(r.letter, ProgramDelivery)}  # fmt: skip
        assert len(seen) == len(coordinator.arrived) == 20 * len(boards)


def test_a_crowd_waits_for_a_stalled_coordinator(mosquitto: EmbeddedBroker) -> None:
    names = [DeviceId(f"board-{index}") for index in range(100)]
    with LinkProxy(mosquitto.port) as proxy, contextlib.ExitStack() as stack:
        coordinator = stack.enter_context(Correspondent(through(proxy, mosquitto), COORDINATOR))
        url = BrokerUrl.parse(mosquitto.url)
        boards = [stack.enter_context(Correspondent(url, name)) for name in names]
        meet(*boards)
        wait_until_known(coordinator, len(boards))
        proxy.stall()
        for board in boards:
            for index in range(4):
                board.write(COORDINATOR, ProgramRequest(f"{index}"))
        time.sleep(5.0)  # the stall that the crowd has to sit out
        proxy.resume()
        coordinator.wait_for(4 * len(boards), 30)
        assert "dropped" not in mosquitto.log_path.read_text()


def wait_until_known(coordinator: Correspondent, count: int) -> None:
    deadline = time.monotonic() + 15
    while len(coordinator.party._courier._sessions) < count:
        assert time.monotonic() < deadline, "the coordinator does not see all boards"
        time.sleep(0.01)


def wait_for_log(broker: EmbeddedBroker, text: str) -> None:
    deadline = time.monotonic() + 20
    while text not in broker.log_path.read_text():
        assert time.monotonic() < deadline, f"the broker never said {text!r}"
        time.sleep(0.05)
