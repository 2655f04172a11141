"""Which brokers can be started here, and how tests name them."""

from __future__ import annotations

import pytest

from coordinator.broker.embedded import EmbeddedBroker, Kind
from runtime.errors import BrokerError

KINDS = ("iotcore", pytest.param("mosquitto", marks=pytest.mark.broker))


def require(kind: Kind) -> None:
    """Skips the test, saying what to install, where this broker is missing."""
    try:
        EmbeddedBroker.require(kind)
    except BrokerError as error:
        pytest.skip(str(error))
