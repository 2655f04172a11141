"""Each step, begun from torch's state with torch's gradients, ends in torch's next state."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch import Tensor, nn

from device_agent.segment import Segment
from runtime.optimisers import Optimiser, OptimiserSpec
from tests.learning import reference
from tests.learning.lesson import ADAM, RESNET, SGD, SMALL_CNN, VIT_DROPOUT, Lesson
from tests.learning.reference import PyTorch
from tests.learning.sides import Crossing, Sides
from tests.learning.standard import BOARD
from tests.learning.trajectory import Array, Arrays, relative_l2

ADAMW = OptimiserSpec("adamw", lr=2e-3, weight_decay=5e-2)


class Tap:
    """Keeps what a module of torch's model puts out, and the gradient that comes back."""

    def __init__(self, module: nn.Module) -> None:
        self.output: Tensor | None = None
        module.register_forward_hook(self._keep)

    def crossing(self) -> Crossing:
        assert self.output is not None and self.output.grad is not None
        return Crossing(self.output.detach().numpy(), self.output.grad.numpy())

    def _keep(self, _module: nn.Module, _inputs: object, output: Tensor) -> None:
        output.retain_grad()
        self.output = output


def gradients(model: nn.Module) -> dict[str, Array]:
    return {k: p.grad.numpy().copy() for k, p in model.named_parameters() if p.grad is not None}


def state_before(torch_run: PyTorch) -> dict[str, Array]:
    """Torch's state; before the first step it has no slots yet, we have zeros."""
    parameters = {k: p.detach().numpy() for k, p in torch_run.model.named_parameters()}
    return {**Optimiser(torch_run.job.optimiser).slots_for(parameters), **torch_run.state()}


def differing(found: Arrays, expected: Arrays) -> dict[str, float]:
    assert found.keys() == expected.keys()
    distances = {k: relative_l2({k: found[k]}, {k: expected[k]}) for k in expected}
    return {key: distance for key, distance in distances.items() if not distance <= 1e-6}


@pytest.mark.parametrize(
    ("lesson", "cut", "optimiser"),
    [
        (SMALL_CNN, "block1", SGD),
        (SMALL_CNN, "block1", ADAM),
        (SMALL_CNN, "block1", ADAMW),
        (RESNET, "layer1.0", SGD),
        (VIT_DROPOUT, "blocks.0", ADAM),
        (VIT_DROPOUT, "blocks.0", ADAMW),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_twenty_steps_from_torchs_state(
    lesson: Lesson,
    cut: str,
    optimiser: OptimiserSpec,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job, data = lesson.job(optimiser), lesson.data()
    sides = Sides.of(job, cut, data, tmp_path)
    monkeypatch.setattr(Segment, "backward", sides.give_torchs_gradients)
    torch_run = PyTorch.begin(job, BOARD)
    tap = Tap(torch_run.model.get_submodule(cut))
    for round, (inputs, labels) in enumerate(reference.batches(job, BOARD, data), start=1):
        before = state_before(torch_run)
        torch_run.step(inputs, labels)
        found = sides.step(round, before, tap.crossing(), labels, gradients(torch_run.model))
        assert differing(found, torch_run.state()) == {}, f"step {round}"


def test_the_comparison_sees_one_part_in_a_hundred_thousand() -> None:
    """The proof that the test above can fail."""
    state = {"weight": np.ones(10), "bias": np.ones(2)}
    nudged = {**state, "bias": state["bias"] * (1 + 1e-5)}
    assert differing(state, state) == {}
    assert list(differing(nudged, state)) == ["bias"]
