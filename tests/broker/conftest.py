from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.broker import EmbeddedBroker
from coordinator.broker.embedded import Kind
from tests.broker.secured import authority, secured
from tests.brokers import KINDS, require

__all__ = ["authority", "secured"]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    require(chosen)
    return chosen


@pytest.fixture
def broker(kind: Kind, tmp_path: Path) -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(kind, tmp_path) as started:
        yield started
