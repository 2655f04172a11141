"""Garbage on every topic of a real fleet is dropped and counted, and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coordinator.broker import EmbeddedBroker
from coordinator.broker.embedded import Kind
from coordinator.record.run_record import read_lines
from runtime.broker_url import BrokerUrl
from runtime.exits import Exit
from runtime.topics import Fleet
from tests.brokers import KINDS, require
from tests.rehearsals import Rehearsal
from tests.system.vandal import Vandal

ROUNDS = "12"


@pytest.fixture(params=KINDS)
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EmbeddedBroker]:
    kind: Kind = request.param
    require(kind)
    with EmbeddedBroker(kind, tmp_path / "broker") as started:
        yield started


def final_weights(rehearsal: Rehearsal) -> str:
    assert rehearsal.wait() == Exit.OK, rehearsal.output()
    summary = json.loads((rehearsal.latest / "summary.json").read_text())
    return str(summary["final_weights_sha256"])


def test_a_vandal_changes_nothing(broker: EmbeddedBroker, start: Callable[..., Rehearsal]) -> None:
    url = BrokerUrl.parse(broker.url)
    with Vandal(url, Fleet("tiny"), ("left", "right")) as vandal:
        vandalised = start("--rounds", ROUNDS, "--broker", broker.url)
        disturbed = final_weights(vandalised)
    (ended,) = [
        event
        for event in read_lines(vandalised.latest / "events.jsonl")
        if event["event"] == "ended"
    ]
    undisturbed = final_weights(start("--rounds", ROUNDS, "--broker", broker.url))
    assert disturbed == undisturbed
    assert vandal.published > 500
    assert {
        "offer does not decode",
        "oversized chunk",
        "frame of another session",
        "state does not decode",
        "state names another device",
        "foreign topic",
    } <= ended["dropped"].keys()
