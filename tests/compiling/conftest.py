"""A tiny segment that has everything: convolution, batch norm, dropout and pooling."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from coordinator.compiling import compile_segment
from runtime.program import SegmentProgram


@pytest.fixture(scope="session")
def tiny() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Dropout(0.25),
        nn.MaxPool2d(2),
    )


@pytest.fixture(scope="session")
def batch() -> Tensor:
    torch.manual_seed(4)
    return torch.randn(4, 3, 16, 16)


@pytest.fixture(scope="session")
def program(tiny: nn.Module, batch: Tensor) -> SegmentProgram:
    return compile_segment(tiny, [batch], cut="4", codec="int8")
