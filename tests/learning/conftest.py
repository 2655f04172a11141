"""Torch with one thread: with two it does not even agree with itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.learning.standard import Standards


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="package")
def standards(one_thread: None) -> Standards:
    return Standards()
