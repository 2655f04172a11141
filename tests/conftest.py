"""A run of the tests that is told to end cleans up before it does."""

from __future__ import annotations

import signal
from types import FrameType

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Lets SIGTERM do what Ctrl-C does: brokers, agents and network namespaces would stay."""
    del config
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
