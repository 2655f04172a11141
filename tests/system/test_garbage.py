"""Garbage on every topic of a real fleet is dropped and counted, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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

pytestmark = pytest.mark.timeout(150)

ROUNDS = 12


@pytest.fixture(params=KINDS)
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EmbeddedBroker]:
    kind: Kind = request.param
    require(kind)
    with EmbeddedBroker(kind, tmp_path / "broker") as started:
        yield started


def weights(rehearsal: Rehearsal) -> list[str]:
    """Returns what every round ended with."""
    assert rehearsal.wait() == Exit.OK, rehearsal.output()
    return [one["weights_sha256"] for one in rounds(rehearsal)]


def rounds(rehearsal: Rehearsal) -> list[dict[str, Any]]:
    return read_lines(rehearsal.latest / "rounds.jsonl")


def suffer(rehearsal: Rehearsal, vandal: Vandal) -> None:
    """Lets it train until a whole pass of garbage has come to it, however long that takes."""
    rehearsal.wait_for_event("link up")
    # The next pass may have begun before.
    mark = vandal.mark(vandal.passes + 2)
    for reason in ("state does not decode", "offer does not decode"):
        rehearsal.wait_for_event("dropped", peer=mark, reason=reason)
    rehearsal.wait_until(lambda: len(rounds(rehearsal)) >= ROUNDS)


def test_a_vandal_changes_nothing(broker: EmbeddedBroker, start: Callable[..., Rehearsal]) -> None:
    url = BrokerUrl.parse(broker.url)
    with Vandal(url, Fleet("tiny"), ("left", "right")) as vandal:
        vandalised = start("--rounds", "100000", "--broker", broker.url)
        suffer(vandalised, vandal)
        vandalised.coordinator().terminate()
        disturbed = weights(vandalised)
    (ended,) = vandalised.events("ended")
    undisturbed = weights(start("--rounds", str(len(disturbed)), "--broker", broker.url))
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
