"""The device side of a step: live state, order of calls, and what it refuses."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from attrs import evolve
from torch import Tensor, nn

from coordinator.compiling import compile_segment
from device_agent.segment import Segment
from runtime.errors import ProgramError
from runtime.program import SegmentProgram
from tests.compiling.agreement import Arrays, arrays, keep_masks, loaded, torch_step


@pytest.fixture
def segment(program: SegmentProgram, tiny: nn.Module) -> Segment:
    return loaded(program, tiny)


@pytest.fixture
def masks(program: SegmentProgram) -> Arrays:
    return keep_masks(program.manifest.masks)


@pytest.fixture
def cut_gradient(program: SegmentProgram) -> Tensor:
    torch.manual_seed(5)
    return torch.randn(program.manifest.smashed.shape)


def copied(tensors: Arrays) -> Arrays:
    return {name: array.copy() for name, array in tensors.items()}


def assert_same(found: Arrays, expected: Arrays) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


def test_changes_to_parameters_take_effect(
    segment: Segment, tiny: nn.Module, batch: Tensor, masks: Arrays, cut_gradient: Tensor
) -> None:
    module = copy.deepcopy(tiny)
    for _ in range(3):
        step = torch_step(module, batch, masks, cut_gradient)
        segment.forward([batch.numpy()], masks)
        gradients = segment.backward(cut_gradient.numpy())
        for key, parameter in module.named_parameters():
            np.testing.assert_allclose(gradients[key], step.gradients[key], rtol=1e-3, atol=1e-3)
            parameter.data -= 0.01 * torch.from_numpy(step.gradients[key])
            segment.parameters[key] -= 0.01 * gradients[key]
        for key, buffer in module.named_buffers():
            buffer.copy_(torch.from_numpy(step.buffers[key]))
            np.testing.assert_allclose(segment.buffers[key], step.buffers[key], rtol=1e-4)


def test_integer_buffers_count_the_forward_passes(
    segment: Segment, batch: Tensor, masks: Arrays
) -> None:
    for _ in range(3):
        segment.forward([batch.numpy()], masks)
    assert segment.buffers["1.num_batches_tracked"] == 3


def test_a_forward_pass_without_backward_leaves_only_its_statistics(
    program: SegmentProgram, tiny: nn.Module, batch: Tensor, masks: Arrays, cut_gradient: Tensor
) -> None:
    abandoned, plain = loaded(program, tiny), loaded(program, tiny)
    abandoned.forward([3 * batch.numpy() + 1], masks)
    for key, buffer in abandoned.buffers.items():
        np.copyto(buffer, plain.buffers[key])
    parts = [s.forward([batch.numpy()], masks) for s in (abandoned, plain)]
    assert_same(*parts)
    assert_same(abandoned.buffers, plain.buffers)
    assert_same(*[s.backward(cut_gradient.numpy()) for s in (abandoned, plain)])


def test_results_outlive_the_next_pass(
    segment: Segment, batch: Tensor, masks: Arrays, cut_gradient: Tensor
) -> None:
    parts = segment.forward([batch.numpy()], masks)
    gradients = segment.backward(cut_gradient.numpy())
    kept = copied(parts), copied(gradients)
    segment.forward([2 * batch.numpy()], masks)
    segment.backward(-cut_gradient.numpy())
    assert_same(parts, kept[0])
    assert_same(gradients, kept[1])


def test_the_caller_may_reuse_its_arrays(
    program: SegmentProgram, tiny: nn.Module, batch: Tensor, masks: Arrays, cut_gradient: Tensor
) -> None:
    careless, careful = loaded(program, tiny), loaded(program, tiny)
    inputs, keep = batch.numpy().copy(), copied(masks)
    careless.forward([inputs], keep)
    careful.forward([batch.numpy()], masks)
    inputs[:] = 7
    for mask in keep.values():
        mask[:] = False
    found, expected = (s.backward(cut_gradient.numpy()) for s in (careless, careful))
    assert_same(found, expected)


def test_loaded_state_is_a_copy(program: SegmentProgram, tiny: nn.Module) -> None:
    state = copied(arrays(tiny.state_dict()))
    segment = Segment(program)
    segment.load_state(state)
    state["0.weight"][:] = 0
    assert np.any(segment.parameters["0.weight"])


def test_two_threads_give_the_same_bits_as_two_threads(
    program: SegmentProgram, tiny: nn.Module, batch: Tensor, masks: Arrays
) -> None:
    segments = [Segment(program, threads=2) for _ in range(2)]
    for segment in segments:
        segment.load_state(arrays(tiny.state_dict()))
    assert_same(*[segment.forward([batch.numpy()], masks) for segment in segments])


def test_backward_runs_once_and_only_after_forward(
    segment: Segment, batch: Tensor, masks: Arrays, cut_gradient: Tensor
) -> None:
    with pytest.raises(ProgramError, match="without a forward"):
        segment.backward(cut_gradient.numpy())
    segment.forward([batch.numpy()], masks)
    segment.backward(cut_gradient.numpy())
    with pytest.raises(ProgramError, match="without a forward"):
        segment.backward(cut_gradient.numpy())


def test_loading_state_forgets_the_forward_pass(
    segment: Segment, tiny: nn.Module, batch: Tensor, masks: Arrays, cut_gradient: Tensor
) -> None:
    segment.forward([batch.numpy()], masks)
    segment.load_state(arrays(tiny.state_dict()))
    with pytest.raises(ProgramError, match="without a forward"):
        segment.backward(cut_gradient.numpy())


def test_state_that_does_not_fit_is_refused(program: SegmentProgram, tiny: nn.Module) -> None:
    state = arrays(tiny.state_dict())
    weight = state["0.weight"]
    wrong: list[Arrays] = [
        {**state, "extra": weight},
        {key: array for key, array in state.items() if key != "1.bias"},
        {**state, "0.weight": weight[:-1]},
        {**state, "0.weight": weight.astype(np.float64)},
    ]
    segment = Segment(program)
    for tensors in wrong:
        with pytest.raises(ProgramError):
            segment.load_state(tensors)


def test_inputs_that_do_not_fit_are_refused(
    segment: Segment, batch: Tensor, masks: Arrays, cut_gradient: Tensor
) -> None:
    x, dy = batch.numpy(), cut_gradient.numpy()
    for inputs in ([], [x, x], [x[:-1]], [x.astype(np.float64)]):
        with pytest.raises(ProgramError):
            segment.forward(inputs, masks)
    for keep in ({}, {"3": masks["3"][:1]}, {**masks, "4": masks["3"]}):
        with pytest.raises(ProgramError):
            segment.forward([x], keep)
    segment.forward([x], masks)
    with pytest.raises(ProgramError):
        segment.backward(dy[:-1])
    assert segment.backward(dy).keys() == segment.parameters.keys()


def test_a_segment_without_state_does_not_run(program: SegmentProgram, batch: Tensor) -> None:
    with pytest.raises(ProgramError, match="no layer state"):
        Segment(program).infer([batch.numpy()])


def test_graphs_that_onnxruntime_refuses_are_refused(program: SegmentProgram) -> None:
    for graph in (b"", b"not a graph", program.forward[:-9]):
        with pytest.raises(ProgramError):
            Segment(evolve(program, forward=graph))


def test_values_that_int8_cannot_carry_are_refused(
    segment: Segment, batch: Tensor, masks: Arrays
) -> None:
    for bad in (np.nan, np.inf, -np.inf):
        x = batch.numpy().copy()
        x[2, 1, 3, 3] = bad
        with pytest.raises(ProgramError, match="diverged"):
            segment.forward([x], masks)


def test_tied_parameters_share_one_array(batch: Tensor) -> None:
    first, second = nn.Linear(16, 16), nn.Linear(16, 16)
    second.weight = first.weight
    module = nn.Sequential(first, nn.Tanh(), second)
    program = compile_segment(module, [batch], cut="2", codec="fp32")
    segment = loaded(program, module)
    assert segment.parameters["2.weight"] is segment.parameters["0.weight"]
    dy = torch.ones(program.manifest.smashed.shape)
    segment.forward([batch.numpy()], {})
    found = segment.backward(dy.numpy())
    expected = torch_step(module, batch, {}, dy).gradients
    assert found.keys() == expected.keys() == {"0.weight", "0.bias", "2.bias"}
    np.testing.assert_allclose(found["0.weight"], expected["0.weight"], rtol=1e-4, atol=1e-3)
