"""Programs by assignment, and what is said where an operator cannot be compiled."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from coordinator.compiling.device_programs import DevicePrograms
from coordinator.cutting.traced_model import trace
from coordinator.learning.objective import cross_entropy
from coordinator.plan import Assignment
from runtime.errors import ModelError, ProgramError
from runtime.ids import DeviceId

BOARD = DeviceId("board")


class Sinc(nn.Module):
    """Uses an operator that has no lowering."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sinc(x)


def programs(*, odd: bool) -> DevicePrograms:
    middle: nn.Module = Sinc() if odd else nn.ReLU()
    model = nn.Sequential(
        nn.Linear(4, 5), nn.Tanh(), nn.Sequential(nn.Linear(5, 6), middle), nn.Linear(6, 3)
    )
    traced = trace(model, (torch.zeros(2, 4),))
    return DevicePrograms(traced, lambda batch: torch.zeros(batch, 4), cross_entropy)


def assignment(cut: str, batch: int = 3) -> Assignment:
    return Assignment(BOARD, cut, "fp32", "fp32", batch)


def test_a_program_is_compiled_once_and_found_by_its_digest() -> None:
    made = programs(odd=False)
    program = made.of(assignment("2"))
    assert made.of(assignment("2")) is program
    assert made.named(program.digest) is program
    assert made.of(assignment("2", batch=4)).digest != program.digest


def test_an_unknown_digest_is_refused() -> None:
    with pytest.raises(ProgramError, match="no program ffff"):
        programs(odd=False).named("f" * 64)


def test_an_operator_without_lowering_names_the_cuts_that_avoid_it() -> None:
    with pytest.raises(ModelError, match=r"cut 2: .*sinc.*; cuts that avoid it: 0, 1"):
        programs(odd=True).of(assignment("2"))
