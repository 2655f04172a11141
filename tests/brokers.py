"""Which brokers can be started here, and how tests name them."""

from __future__ import annotations

import os

import pytest

from coordinator.broker.embedded import EmbeddedBroker, Kind
from runtime.errors import BrokerError

KINDS = ("iotcore", pytest.param("mosquitto", marks=pytest.mark.broker))


def require(kind: Kind) -> None:
    """Skips the test, saying what to install, where this broker is missing.

    With EDGESPLIT_REQUIRE_BROKER=1, as in CI, the test fails instead.
    """
    try:
        EmbeddedBroker.require(kind)
    except BrokerError as error:
        if os.environ.get("EDGESPLIT_REQUIRE_BROKER") == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))
