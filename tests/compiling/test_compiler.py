"""What a program declares, what the compiler refuses, and that it repeats itself."""

from __future__ import annotations

import copy

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from coordinator.compiling import compile_segment
from coordinator.compiling.capture import capture
from runtime.errors import LoweringError, ModelError
from runtime.program import MaskSpec, SegmentProgram
from tests.compiling.agreement import keep_masks, loaded, torch_step


class Function(nn.Module):
    def __init__(self, function: object) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(16))
        self.function = function

    def forward(self, x: Tensor) -> object:
        assert callable(self.function)
        return self.function(x * self.scale)


def test_the_same_module_gives_the_same_bytes(
    program: SegmentProgram, tiny: nn.Module, batch: Tensor
) -> None:
    again = compile_segment(copy.deepcopy(tiny), [batch.clone()], cut="4", codec="int8")
    assert again.encode() == program.encode()


def test_the_values_of_weights_and_inputs_do_not_matter(
    program: SegmentProgram, tiny: nn.Module, batch: Tensor
) -> None:
    other = copy.deepcopy(tiny)
    for parameter in other.parameters():
        parameter.data.mul_(2)
    assert compile_segment(other, [batch * 3], cut="4", codec="int8").digest == program.digest


def test_the_module_stays_as_it_was(tiny: nn.Module, batch: Tensor) -> None:
    module = copy.deepcopy(tiny).eval()
    before = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    compile_segment(module, [batch], cut="4", codec="fp32")
    assert isinstance(module.get_submodule("3"), nn.Dropout)
    assert not module.training
    for key, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[key])
        assert tensor.grad is None


def test_graphs_are_standard_onnx(program: SegmentProgram) -> None:
    for data in (program.forward, program.backward, program.inference):
        model = onnx.load_from_string(data)
        onnx.checker.check_model(model, full_check=True)
        assert model.ir_version == program.manifest.ir_version
        assert [(o.domain, o.version) for o in model.opset_import] == [("", 20)]


def test_graphs_copy_nothing(program: SegmentProgram) -> None:
    for data in (program.forward, program.backward, program.inference):
        kinds = {node.op_type for node in onnx.load_from_string(data).graph.node}
        assert "Identity" not in kinds


def test_a_program_declares_its_memory_and_work(program: SegmentProgram, batch: Tensor) -> None:
    manifest = program.manifest
    activation_bytes = 4 * 8 * 16 * 16 * 4
    assert activation_bytes * 3 < manifest.memory_bytes < activation_bytes * 12
    assert manifest.flops_per_sample == 2 * 8 * 3 * 9 * 16 * 16


def test_masks_go_by_the_path_of_their_layer(batch: Tensor) -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)
            self.drop = nn.Dropout(0.5)
            self.planes = nn.Dropout2d(0.25)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.planes(self.drop(self.drop(self.conv(x))))
            return y

    module = Twice()
    program = compile_segment(module, [batch], cut="planes", codec="fp32")
    assert program.manifest.masks == (
        MaskSpec("drop", (4, 4, 16, 16), 0.5),
        MaskSpec("drop@1", (4, 4, 16, 16), 0.5),
        MaskSpec("planes", (4, 4, 1, 1), 0.25),
    )
    masks = keep_masks(program.manifest.masks)
    dy = torch.ones(4, 4, 16, 16)
    step = torch_step(module, batch, masks, dy)
    segment = loaded(program, module)
    found = segment.forward([batch.numpy()], masks)["smashed"]
    np.testing.assert_allclose(found, step.output, rtol=1e-5, atol=1e-6)
    gradients = segment.backward(dy.numpy())
    np.testing.assert_allclose(
        gradients["conv.weight"], step.gradients["conv.weight"], rtol=1e-4, atol=1e-3
    )


def test_dropout_that_drops_everything_is_refused(batch: Tensor) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Dropout(1.0))
    with pytest.raises(ModelError, match="drops everything"):
        compile_segment(module, [batch], cut="1", codec="fp32")


def test_frozen_parameters_travel_without_a_gradient(batch: Tensor) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3))
    module[0].requires_grad_(False)
    manifest = compile_segment(module, [batch], cut="2", codec="fp32").manifest
    assert "0.weight" in {spec.name for spec in manifest.parameters}
    learning = {gradient.key for gradient in manifest.gradients}
    assert learning == {"1.weight", "1.bias", "2.weight", "2.bias"}


def test_buffers_outside_the_state_dict_are_part_of_the_program(batch: Tensor) -> None:
    class Shifted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(16))
            self.register_buffer("shift", torch.arange(16.0), persistent=False)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = x * self.weight * self.get_buffer("shift")
            return y

    module = Shifted()
    program = compile_segment(module, [batch], cut="", codec="fp32")
    assert program.manifest.buffers == ()
    segment = loaded(program, module)
    np.testing.assert_allclose(
        segment.forward([batch.numpy()], {})["smashed"], module(batch).detach(), rtol=1e-6
    )
    gradient = segment.backward(np.ones(batch.shape, np.float32))["weight"]
    expected = (batch * torch.arange(16.0)).sum((0, 1, 2))
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("function", "operator"),
    [
        (lambda x: torch.special.i0e(x), "aten.special_i0e.default"),
        (lambda x: nn.functional.dropout(x), "aten.native_dropout.default"),
        (lambda x: x.cumsum(1), "aten.cumsum.default"),
    ],
)
def test_an_operator_without_lowering_is_named(
    function: object, operator: str, batch: Tensor
) -> None:
    with pytest.raises(LoweringError, match=operator):
        compile_segment(Function(function), [batch], cut="", codec="fp32")


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (x, x),
        lambda x: x.argmax(1),
        lambda x: x.double(),
        lambda x: x.detach(),
        lambda x: x if x.sum() > 0 else -x,
    ],
)
def test_what_cannot_be_a_segment_is_refused(function: object, batch: Tensor) -> None:
    with pytest.raises(ModelError):
        compile_segment(Function(function), [batch], cut="", codec="fp32")


def test_captured_graphs_can_be_run(tiny: nn.Module, batch: Tensor) -> None:
    captured = capture(tiny, [batch])
    state = [tensor.detach().clone() for tensor in captured.state.all.values()]
    keep = [torch.ones(spec.shape, dtype=torch.bool) for spec in captured.masks]
    made = captured.forward(*state, batch, *keep)
    gradients = captured.backward(*made[captured.result_count :], torch.ones_like(made[0]))
    assert gradients[0].shape == (8, 3, 3, 3)
