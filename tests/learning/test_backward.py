"""The backward graph of every zoo model is the backward pass that torch captured.

Both get the same saved tensors: from end to end, one gate that flips in the forward pass would
move gradients by more than any tolerance that can find a bug.
"""

from __future__ import annotations

import pytest
import torch

from coordinator.compiling.compiler import compile_segment
from coordinator.cutting.traced_model import TracedModel, trace
from coordinator.zoo.vit import vit
from tests.compiling.agreement import backwards, worst_relative_error
from tests.cutting.zoo_cases import ZOO, ZooCase

DROPOUT = ZooCase(
    "vit-dropout", lambda: vit(width=24, depth=2, image_size=16, dropout=0.1), (3, 16, 16)
)


LONG = pytest.mark.campaign
CASES = [
    pytest.param(
        case, id=case.name, marks=LONG if case.name in ("vgg16-group", "resnet18-group") else ()
    )
    for case in (*ZOO, DROPOUT)
]
DEPTHS = [0.0, 0.25, 0.5, pytest.param(0.75, marks=LONG), pytest.param(1.0, marks=LONG)]
"""Of the cut, as a share of all the model's cuts."""


@pytest.fixture(params=CASES, scope="module")
def case(request: pytest.FixtureRequest) -> ZooCase:
    chosen: ZooCase = request.param
    return chosen


@pytest.fixture(scope="module")
def traced(case: ZooCase, one_thread: None) -> TracedModel:
    return trace(case.model(), [case.batch()])


@pytest.mark.parametrize("depth", DEPTHS)
def test_gradients_from_the_same_saved_tensors(
    traced: TracedModel, case: ZooCase, depth: float
) -> None:
    cut = traced.cuts[round(depth * (len(traced.cuts) - 1))].name
    device, x = traced.split(cut).device.train(), case.batch()
    program = compile_segment(device, [x], cut=cut, codec="fp32")
    assert {gradient.key for gradient in program.manifest.gradients} == {
        key for key, _ in device.named_parameters()
    }
    random = torch.Generator().manual_seed(9)
    cut_gradient = torch.randn(program.manifest.smashed.shape, generator=random)
    found = backwards(program, device, x, cut_gradient)
    assert worst_relative_error(found.onnx, found.torch) <= 1e-4
