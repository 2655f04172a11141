"""Every promised kind of segment computes what torch computes."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from coordinator.compiling import compile_segment
from runtime.program import SegmentProgram
from tests.compiling.agreement import (
    arrays,
    backwards,
    keep_masks,
    loaded,
    torch_step,
    worst_relative_error,
    worst_relative_norm,
)
from tests.compiling.operators import OPERATORS
from tests.compiling.segments import CASES, SegmentCase


class Compiled:
    def __init__(self, case: SegmentCase) -> None:
        torch.manual_seed(7)
        self.module: nn.Module = case.build().train()
        self.x: Tensor = case.example()
        self.program: SegmentProgram = compile_segment(
            self.module, [self.x], cut=case.name, codec="fp32"
        )
        self.cut_gradient = torch.randn(self.program.manifest.smashed.shape)


@pytest.fixture(scope="module", params=CASES + OPERATORS, ids=lambda case: case.name)
def compiled(request: pytest.FixtureRequest) -> Compiled:
    return Compiled(request.param)


def test_backward_agrees_on_the_same_saved_tensors(compiled: Compiled) -> None:
    found = backwards(compiled.program, compiled.module, compiled.x, compiled.cut_gradient)
    assert worst_relative_error(found.onnx, found.torch) <= 1e-4


def test_a_step_agrees_from_end_to_end(compiled: Compiled) -> None:
    masks = keep_masks(compiled.program.manifest.masks)
    expected = torch_step(compiled.module, compiled.x, masks, compiled.cut_gradient)
    segment = loaded(compiled.program, compiled.module)
    smashed = segment.forward([compiled.x.numpy()], masks)["smashed"]
    np.testing.assert_allclose(smashed, expected.output, rtol=1e-5, atol=1e-5)
    gradients = segment.backward(compiled.cut_gradient.numpy())
    assert worst_relative_norm(gradients, expected.gradients) <= 2e-2
    for key, buffer in expected.buffers.items():
        np.testing.assert_allclose(segment.buffers[key], buffer, rtol=1e-5, atol=1e-6)


def test_inference_agrees(compiled: Compiled) -> None:
    module = copy.deepcopy(compiled.module).eval()
    found = loaded(compiled.program, compiled.module).infer([compiled.x.numpy()])
    np.testing.assert_allclose(found, module(compiled.x).detach(), rtol=1e-5, atol=1e-5)


def test_state_and_gradients_go_by_state_dict_key(compiled: Compiled) -> None:
    manifest = compiled.program.manifest
    state = arrays(compiled.module.state_dict())
    assert {spec.name for spec in (*manifest.parameters, *manifest.buffers)} == state.keys()
    learning = {key for key, _ in compiled.module.named_parameters()}
    assert {gradient.key for gradient in manifest.gradients} == learning
