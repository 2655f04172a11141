"""What all tests of learning share: one torch thread, compiled programs, torch's own runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

import coordinator.compiling.device_programs
from tests.learning.shelf import Shelf
from tests.learning.standard import Standards


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """With two threads torch does not even agree with itself."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True, scope="package")
def shelf() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coordinator.compiling.device_programs, "compile_segment", Shelf())
        yield


@pytest.fixture(scope="package")
def standards(one_thread: None) -> Standards:
    return Standards()
