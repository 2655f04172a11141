"""Splitting any zoo model anywhere computes what the whole model computes."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from coordinator.cutting.traced_model import TracedModel, trace
from tests.cutting.zoo_cases import ZOO, ZooCase

TRIED_CUTS = 6


@pytest.fixture(params=ZOO, ids=lambda case: case.name, scope="module")
def case(request: pytest.FixtureRequest) -> ZooCase:
    chosen: ZooCase = request.param
    return chosen


@pytest.fixture(scope="module")
def traced(case: ZooCase) -> TracedModel:
    return trace(case.model(), [case.batch()])


def some_cuts(traced: TracedModel) -> list[str]:
    """First, last, and some between."""
    step = max(1, len(traced.cuts) // (TRIED_CUTS - 1))
    return [cut.name for cut in traced.cuts[::step]] + [traced.cuts[-1].name]


def gradients(model: nn.Module, output: Tensor) -> dict[str, Tensor]:
    """Gradients by key of a loss that no layer leaves at zero."""
    model.zero_grad()
    weights = torch.linspace(-1, 1, output.numel()).view_as(output)
    (output * weights).sum().backward()  # type: ignore[no-untyped-call]
    return {k: p.grad.clone() for k, p in model.named_parameters() if p.grad is not None}


def test_names_are_unique_and_costs_only_grow(traced: TracedModel) -> None:
    names = [name for cut in traced.cuts for name in (cut.name, *cut.aliases)]
    assert len(names) == len(set(names))
    for before, after in zip(traced.cuts, traced.cuts[1:], strict=False):
        assert before.device_flops_per_sample <= after.device_flops_per_sample
        assert before.device_parameters <= after.device_parameters
        memory = [cut.training_memory_bytes(1) for cut in (before, after)]
        assert memory[0] <= memory[1]
    assert traced.cuts[-1].device_parameters < traced.parameters


def test_keys_are_the_models_disjoint_and_complete(traced: TracedModel, case: ZooCase) -> None:
    whole = case.model().state_dict()
    for cut in traced.cuts:
        split = traced.split(cut.name)
        parts = [*split.device.state_dict(), *split.server.state_dict()]
        assert sorted(parts) == sorted(whole)
        trained = sum(parameter.numel() for parameter in split.device.parameters())
        assert trained == cut.device_parameters


def test_eval_output_is_exact_at_another_batch_size(traced: TracedModel, case: ZooCase) -> None:
    x, whole = case.batch(3), case.model().eval()
    for name in some_cuts(traced):
        split = copy.deepcopy(traced.split(name))
        split.device.eval()
        split.server.eval()
        smashed = split.device(x)
        assert tuple(smashed.shape[1:]) == traced.cut(name).smashed_shape
        assert torch.equal(split.server(smashed), whole(x)), name


def test_train_step_is_exact(traced: TracedModel, case: ZooCase) -> None:
    x = case.batch()
    whole = case.model().train()
    expected_output = whole(x)
    expected = gradients(whole, expected_output)
    for name in some_cuts(traced):
        split = copy.deepcopy(traced.split(name))
        split.device.train()
        split.server.train()
        smashed = split.device(x)
        handed = smashed.detach().requires_grad_()
        output = split.server(handed)
        assert torch.equal(output, expected_output), name
        found = gradients(split.server, output)
        smashed.backward(handed.grad)
        found |= {k: p.grad for k, p in split.device.named_parameters() if p.grad is not None}
        assert found.keys() == expected.keys()
        for key, gradient in expected.items():
            assert torch.allclose(found[key], gradient, rtol=1e-6, atol=1e-6), (name, key)
        state = {**split.device.state_dict(), **split.server.state_dict()}
        for key, buffer in whole.named_buffers():
            assert torch.equal(state[key], buffer), (name, key)


def test_tracing_in_eval_mode_gives_the_same_cuts_and_leaves_the_model_alone(
    traced: TracedModel, case: ZooCase
) -> None:
    model, untouched = case.model().eval(), case.model()
    next(model.children()).train()
    modes = [module.training for module in model.modules()]
    assert trace(model, [case.batch()]).cuts == traced.cuts
    assert [module.training for module in model.modules()] == modes
    assert vars(model).keys() == vars(untouched).keys()
    for key, tensor in untouched.state_dict().items():
        assert torch.equal(model.state_dict()[key], tensor), key
