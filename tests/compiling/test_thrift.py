"""What is kept between forward and backward, and what is not."""

from __future__ import annotations

import onnx
import torch
from torch import nn

from coordinator.compiling.compiler import compile_segment


def test_a_relu6_before_a_convolution_keeps_one_tensor_not_two() -> None:
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU6(), nn.Conv2d(8, 4, 3), nn.Tanh()
    )
    program = compile_segment(module, (torch.rand(2, 3, 8, 8),), cut="4", codec="fp32")
    made = [saved.name for saved in program.manifest.saved if saved.source == "output"]
    large = [name for name in made if name in _sizes(program.forward, (2, 8, 6, 6))]
    # The convolution's result for batch norm, the ReLU6's for both its gate and what follows.
    assert len(large) == 2


def _sizes(model: bytes, shape: tuple[int, ...]) -> set[str]:
    graph = onnx.load_from_string(model).graph
    return {
        output.name
        for output in graph.output
        if tuple(d.dim_value for d in output.type.tensor_type.shape.dim) == shape
    }
