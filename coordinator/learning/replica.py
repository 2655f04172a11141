"""A server segment that serves one device: torch for the gradients, our numpy for the update."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from attrs import frozen
from numpy.typing import NDArray
from torch import Tensor, nn

from coordinator.cutting.dropout import draw_masks, replace_dropout
from coordinator.learning.checkpoint import LayerState
from coordinator.learning.objective import Objective
from runtime.errors import ModelError
from runtime.ids import DeviceId
from runtime.optimisers import Optimiser
from runtime.randomness import generator
from runtime.recipe import Recipe
from runtime.schedules import learning_rate

Array = NDArray[Any]


@frozen
class Place:
    """Where in a run a micro-batch is: what all randomness and the schedule hang on."""

    round: int
    step: int
    micro_batch: int
    micro_batches: int

    @property
    def ends_step(self) -> bool:
        return self.micro_batch + 1 == self.micro_batches


class Replica:
    """The part of the model behind one device's cut, with its own weights and slots."""

    def __init__(
        self, device: DeviceId, server: nn.Module, objective: Objective, recipe: Recipe
    ) -> None:
        self._device = device
        self._module = copy.deepcopy(server)
        replace_dropout(self._module)
        self._module.train()
        self._objective = objective
        self._recipe = recipe
        self._optimiser = Optimiser(recipe.optimiser)
        self._tensors: dict[str, Tensor] = dict(self._module.state_dict(keep_vars=True))
        self._trained = {key: p for key, p in self._module.named_parameters() if p.requires_grad}
        self._parameters = {key: p.detach().numpy() for key, p in self._trained.items()}
        self._slots = self._optimiser.slots_for(self._parameters)

    def reset(self, state: Mapping[str, Array]) -> None:
        """Takes over the round's layer state, whatever was going on."""
        with torch.no_grad():
            for key, tensor in self._tensors.items():
                tensor.copy_(torch.from_numpy(np.asarray(state[key])))
        for key, slot in self._slots.items():
            np.copyto(slot, state[key])
        self._clear_gradients()

    def state(self) -> LayerState:
        """Returns copies of parameters, buffers and slots."""
        weights = {key: t.detach().numpy().copy() for key, t in self._tensors.items()}
        return {**weights, **{key: slot.copy() for key, slot in self._slots.items()}}

    def serve(self, smashed: Array, labels: Array, place: Place) -> tuple[Array, float]:
        """Returns the gradient at the cut and the mean loss of a micro-batch.

        At the end of a local step the replica's own layers are updated.
        """
        # Not ourselves: the dropout layers keep it, and would keep our memory when we are gone.
        draw_masks(self._module, partial(_random, self._recipe.seed, self._device, place))
        cut = torch.from_numpy(smashed).requires_grad_()
        loss = self._loss(cut, torch.from_numpy(labels))
        loss.backward()  # type: ignore[no-untyped-call]
        if not torch.isfinite(loss) or cut.grad is None:
            raise ModelError(
                f"training has diverged on {self._device} in round {place.round}, step "
                f"{place.step}: the loss is {float(loss.detach())}; lower the learning rate"
            )
        if place.ends_step:
            self._update(place)
        return cut.grad.numpy(), float(loss.detach())

    def _loss(self, cut: Tensor, labels: Tensor) -> Tensor:
        try:
            return self._objective(self._module(cut), labels)
        except (RuntimeError, ValueError, IndexError) as error:
            # torch's words for labels that do not go with the outputs: the device chose them.
            raise ModelError(f"the step of {self._device} does not fit: {error}") from error

    def _update(self, place: Place) -> None:
        recipe = self._recipe
        rate = learning_rate(
            recipe.schedule,
            recipe.optimiser.lr,
            round=place.round,
            step=place.step,
            rounds=recipe.rounds,
            local_steps=recipe.local_steps,
        )
        gradients = {
            key: (p.grad / place.micro_batches).numpy()
            if place.micro_batches > 1
            else p.grad.numpy()
            for key, p in self._trained.items()
            if p.grad is not None
        }
        t = recipe.global_step(place.round, place.step)
        self._optimiser.step(self._parameters, gradients, self._slots, lr=rate, t=t)
        self._clear_gradients()

    def _clear_gradients(self) -> None:
        for parameter in self._trained.values():
            parameter.grad = None


def _random(seed: int, device: DeviceId, place: Place, purpose: str) -> np.random.Generator:
    return generator(
        purpose,
        seed=seed,
        round=place.round,
        step=place.step,
        micro_batch=place.micro_batch,
        device=device,
    )
