"""The optimisers against torch.optim, and their promises about memory and views."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from runtime.optimisers import Floats, Optimiser, OptimiserSpec

SHAPES: dict[str, tuple[int, ...]] = {
    "large.weight": (70, 3, 150),
    "conv.weight": (8, 4, 3, 3),
    "bias": (7,),
    "scalar": (),
    "empty": (0, 4),
}
SPECS = [
    OptimiserSpec("sgd", 0.1),
    OptimiserSpec("sgd", 0.1, weight_decay=0.01),
    OptimiserSpec("sgd", 0.05, momentum=0.9),
    OptimiserSpec("sgd", 0.05, momentum=0.9, weight_decay=5e-4),
    OptimiserSpec("sgd", 0.05, momentum=0.9, dampening=0.3),
    OptimiserSpec("sgd", 0.05, momentum=0.8, dampening=0.5, weight_decay=0.01),
    OptimiserSpec("sgd", 0.05, momentum=0.9, nesterov=True),
    OptimiserSpec("sgd", 0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
    OptimiserSpec("adam", 2e-3),
    OptimiserSpec("adam", 2e-3, weight_decay=0.01),
    OptimiserSpec("adam", 1e-2, beta1=0.0, beta2=0.5, eps=1e-3),
    OptimiserSpec("adamw", 2e-3, weight_decay=0.05),
    OptimiserSpec("adamw", 1e-3, beta1=0.95, beta2=0.99, weight_decay=0.1),
]
TORCH_SLOTS = {
    "momentum": "momentum_buffer",
    "exp_avg": "exp_avg",
    "exp_avg_sq": "exp_avg_sq",
}


def torch_twin(spec: OptimiserSpec, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    if spec.name == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=spec.lr,
            momentum=spec.momentum,
            dampening=spec.dampening,
            nesterov=spec.nesterov,
            weight_decay=spec.weight_decay,
        )
    kind: Callable[..., torch.optim.Optimizer] = (
        torch.optim.Adam if spec.name == "adam" else torch.optim.AdamW
    )
    betas = (spec.beta1, spec.beta2)
    return kind(parameters, lr=spec.lr, betas=betas, eps=spec.eps, weight_decay=spec.weight_decay)


def drawn(gen: np.random.Generator) -> dict[str, Floats]:
    return {
        key: np.asarray(gen.standard_normal(shape), np.float32) for key, shape in SHAPES.items()
    }


def distance(ours: Floats, theirs: Floats) -> float:
    """Returns the relative L2 distance."""
    gap = np.linalg.norm(ours.astype(np.float64) - theirs)
    return float(gap) / max(float(np.linalg.norm(theirs)), 1e-30)


def worst_distance(spec: OptimiserSpec, *, first_step: int = 1, steps: int = 20) -> float:
    """Feeds equal gradients to both for some steps; returns the worst tensor's distance."""
    gen = np.random.default_rng(5)
    ours, optimiser = drawn(gen), Optimiser(spec)
    slots = optimiser.slots_for(ours)
    theirs = {key: torch.nn.Parameter(torch.tensor(value)) for key, value in ours.items()}
    twin = torch_twin(spec, list(theirs.values()))
    for step in range(steps):
        lr, gradients = spec.lr / (1 + step), drawn(gen)
        for key, parameter in theirs.items():
            parameter.grad = torch.tensor(gradients[key])
        twin.param_groups[0]["lr"] = lr
        twin.step()
        optimiser.step(ours, gradients, slots, lr=lr, t=first_step + step)
    kept = [(ours[key], theirs[key].detach().numpy()) for key in ours]
    kept += [
        (slots[f"{key}#{slot}"], twin.state[theirs[key]][TORCH_SLOTS[slot]].numpy())
        for key in ours
        for slot in optimiser.slot_names
    ]
    return max(distance(*pair) for pair in kept)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_twenty_steps_equal_torch(spec: OptimiserSpec) -> None:
    assert worst_distance(spec) < 1e-6


@pytest.mark.parametrize(
    "spec", [spec for spec in SPECS if spec.name != "sgd" or spec.dampening], ids=str
)
def test_the_comparison_notices_a_wrong_step_count(spec: OptimiserSpec) -> None:
    assert worst_distance(spec, first_step=2) > 1e-5


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_views_of_torch_storage_are_updated_in_place(spec: OptimiserSpec) -> None:
    layer, plain = torch.nn.Linear(300, 90), torch.nn.Linear(300, 90)
    plain.load_state_dict(layer.state_dict())
    views = {key: value.detach().numpy() for key, value in layer.named_parameters()}
    copies = {key: value.detach().numpy().copy() for key, value in plain.named_parameters()}
    gradients = {key: np.ones(value.shape, np.float32) for key, value in views.items()}
    for parameters in (views, copies):
        optimiser = Optimiser(spec)
        slots = optimiser.slots_for(parameters)
        optimiser.step(parameters, gradients, slots, lr=spec.lr, t=1)

    for key, parameter in layer.named_parameters():
        assert np.array_equal(parameter.detach().numpy(), copies[key])
        assert not torch.equal(parameter, plain.get_parameter(key))


@pytest.mark.parametrize(
    ("spec", "slot_names"),
    [
        (OptimiserSpec("sgd", 0.1), ()),
        (OptimiserSpec("sgd", 0.1, momentum=0.9), ("momentum",)),
        (OptimiserSpec("adam", 0.1), ("exp_avg", "exp_avg_sq")),
        (OptimiserSpec("adamw", 0.1), ("exp_avg", "exp_avg_sq")),
    ],
)
def test_slots_are_zeros_named_by_key(spec: OptimiserSpec, slot_names: tuple[str, ...]) -> None:
    slots = Optimiser(spec).slots_for({"a.weight": np.ones((2, 3), np.float32)})

    assert Optimiser(spec).slot_names == slot_names
    assert list(slots) == [f"a.weight#{slot}" for slot in slot_names]
    assert all(not slot.any() and slot.shape == (2, 3) for slot in slots.values())


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_scratch_memory_does_not_grow_with_the_parameter(spec: OptimiserSpec) -> None:
    parameters = {"w": np.ones((1000, 1000), np.float32)}
    gradients = {"w": np.ones((1000, 1000), np.float32)}
    optimiser = Optimiser(spec)
    slots = optimiser.slots_for(parameters)

    tracemalloc.start()
    optimiser.step(parameters, gradients, slots, lr=0.1, t=1)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak_bytes < 128 * 1024


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_gradients_are_only_read(spec: OptimiserSpec) -> None:
    parameters = drawn(np.random.default_rng(1))
    gradients = drawn(np.random.default_rng(2))
    for gradient in gradients.values():
        gradient.setflags(write=False)
    optimiser = Optimiser(spec)

    optimiser.step(parameters, gradients, optimiser.slots_for(parameters), lr=0.1, t=1)

    for key, before in drawn(np.random.default_rng(2)).items():
        assert np.array_equal(gradients[key], before)


def test_a_strided_gradient_counts_by_value() -> None:
    gradient = np.arange(12, dtype=np.float32).reshape(4, 3).T
    parameters = {"w": np.zeros((3, 4), np.float32)}

    Optimiser(OptimiserSpec("sgd", 1.0)).step(parameters, {"w": gradient}, {}, lr=1.0, t=1)

    assert np.array_equal(parameters["w"], -gradient)


def test_parameters_without_a_gradient_stay() -> None:
    parameters = {"w": np.ones(3, np.float32), "frozen": np.ones(3, np.float32)}
    optimiser = Optimiser(OptimiserSpec("adamw", 0.1, weight_decay=0.5))
    slots = optimiser.slots_for({"w": parameters["w"]})

    optimiser.step(parameters, {"w": np.ones(3, np.float32)}, slots, lr=0.1, t=1)

    assert np.all(parameters["frozen"] == 1)
    assert np.all(parameters["w"] != 1)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_divergence_stays_silent_and_visible(spec: OptimiserSpec) -> None:
    parameters = {"w": np.full(3, 3e38, np.float32)}
    gradients = {"w": np.array([3e38, np.inf, np.nan], np.float32)}
    optimiser = Optimiser(spec)

    optimiser.step(parameters, gradients, optimiser.slots_for(parameters), lr=10.0, t=1)

    assert not np.isfinite(parameters["w"][1:]).any()


W = np.zeros((2, 3), np.float32)


@pytest.mark.parametrize(
    ("parameter", "gradient"),
    [
        (W.copy(), np.ones((3, 2), np.float32)),
        (W.copy(), np.ones((2, 3))),
        (np.zeros((2, 3)), np.ones((2, 3), np.float32)),
        (np.zeros((3, 2), np.float32).T, np.ones((2, 3), np.float32)),
        (np.broadcast_to(np.float32(0), (2, 3)), np.ones((2, 3), np.float32)),
    ],
)
def test_arrays_that_do_not_fit_are_refused_before_anything_changes(
    parameter: Any, gradient: Any
) -> None:
    parameters = {"first": np.zeros(2, np.float32), "w": parameter}
    gradients = {"first": np.ones(2, np.float32), "w": gradient}

    with pytest.raises(ValueError, match=r"^w: "):
        Optimiser(OptimiserSpec("sgd", 0.1)).step(parameters, gradients, {}, lr=0.1, t=1)
    assert not parameters["first"].any()


def test_steps_count_from_one() -> None:
    with pytest.raises(ValueError, match="count from 1"):
        Optimiser(OptimiserSpec("adam", 0.1)).step({}, {}, {}, lr=0.1, t=0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": "lion"}, "'name' must be in"),
        ({"lr": 0.0}, "lr must be a finite number above 0"),
        ({"lr": float("inf")}, "lr must be a finite number above 0"),
        ({"momentum": 1.0}, "momentum must be at least 0 and below 1"),
        ({"weight_decay": -0.1}, "weight_decay must be a finite number of at least 0"),
        ({"name": "adam", "beta2": 1.0}, "beta2 must be at least 0 and below 1"),
        ({"name": "adam", "eps": 0.0}, "eps must be a finite number above 0"),
        ({"name": "adam", "momentum": 0.9}, "adam has no momentum"),
        ({"dampening": 0.5}, "no effect without momentum"),
        ({"nesterov": True}, "nesterov needs a momentum"),
        ({"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "nesterov needs a momentum"),
    ],
)
def test_wrong_constants_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OptimiserSpec(**{"name": "sgd", "lr": 0.1, **wrong})
