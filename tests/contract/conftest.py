from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from tests.brokers import KINDS, require
from tests.contract.networks import BrokerNetwork, MemoryNetwork, Network


@pytest.fixture(params=["memory", *KINDS])
def network(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Network]:
    kind: Literal["memory", "iotcore", "mosquitto"] = request.param
    if kind == "memory":
        yield MemoryNetwork()
        return
    require(kind)
    with BrokerNetwork(kind, tmp_path) as made:
        yield made
