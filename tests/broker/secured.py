"""Fixtures: a CA made once, and a broker that holds everybody to certificates and branches."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker.authority import Authority, SecuredBroker
from tests.brokers import require


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The CA of the page; tests that change it take a copy."""
    require("mosquitto")
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed; run: apt install openssl")
    return Authority.make(tmp_path_factory.mktemp("checkout") / "edgesplit")


@pytest.fixture
def secured(authority: Authority, tmp_path: Path) -> Iterator[SecuredBroker]:
    with SecuredBroker(tmp_path / "broker", authority) as broker:
        yield broker
