from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
import torch

from tests.rehearsals import start

__all__ = ["start"]

Tell = Callable[[str], None]


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Tell:
    """Shows a figure to whoever runs a campaign, with what else the machine had to do."""

    def show(figure: str) -> None:
        load = ", ".join(f"{one:.2f}" for one in os.getloadavg())
        with capsys.disabled():
            print(f"\n  {request.node.name}: {figure} (load {load})")

    return show


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Weights depend on the number of threads, also where this process learns."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
