"""The plain PyTorch loop that every comparison is held against: nothing of ours but the inputs.

Ours are the initial model, the order of samples and the bits of dropout masks. Optimiser,
schedule, loss, batch norm and gradients are torch's own.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from attrs import define
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import CosineAnnealingLR

from coordinator.cutting.model import build_model
from coordinator.job import Job
from runtime.dataset import Dataset
from runtime.ids import DeviceId
from runtime.optimisers import OptimiserSpec
from runtime.order import samples
from runtime.randomness import dropout_mask, generator
from tests.learning.trajectory import Array, Trajectory

SLOTS = {"momentum_buffer": "momentum", "exp_avg": "exp_avg", "exp_avg_sq": "exp_avg_sq"}
"""torch's names of what an optimiser remembers, and ours."""


@define
class PyTorch:
    """A model in training. `losses` grows by one a step."""

    job: Job
    device: DeviceId
    model: nn.Module
    optimiser: torch.optim.Optimizer
    schedule: CosineAnnealingLR
    masks: list[MaskedDropout]
    losses: list[float]

    @classmethod
    def begin(cls, job: Job, device: DeviceId) -> PyTorch:
        model = build_model(job.model.factory, job.model.args, job.training.seed, job.base)
        masks = list(_mask_dropout(model))
        optimiser = optimiser_for(job.optimiser, model)
        steps = job.training.rounds * job.training.local_steps
        schedule = CosineAnnealingLR(optimiser, T_max=steps)
        return cls(job, device, model.train(), optimiser, schedule, masks, [])

    def step(self, inputs: Array, labels: Array) -> None:
        """Trains one batch."""
        self._draw_masks()
        self.optimiser.zero_grad()
        outputs = self.model(torch.from_numpy(inputs))
        loss = functional.cross_entropy(outputs, torch.from_numpy(labels))
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.schedule.step()
        self.losses.append(loss.item())

    def state(self) -> dict[str, Array]:
        """Copies of weights and buffers by key, and of slots under our names."""
        state = {key: t.detach().numpy().copy() for key, t in self.model.state_dict().items()}
        for key, parameter in self.model.named_parameters():
            for theirs, value in self.optimiser.state[parameter].items():
                if theirs in SLOTS:
                    state[f"{key}#{SLOTS[theirs]}"] = value.numpy().copy()
        return state

    def trajectory(self) -> Trajectory:
        steps = self.job.training.local_steps
        losses = np.array(self.losses).reshape(-1, steps).mean(axis=1).tolist()
        parameters = {key for key, _ in self.model.named_parameters()}
        return Trajectory.of(losses, self.state(), parameters)

    def _draw_masks(self) -> None:
        round, step = divmod(len(self.losses), self.job.training.local_steps)
        for mask in self.masks:
            mask.place = {
                "purpose": f"dropout:{mask.path}",
                "seed": self.job.training.seed,
                "round": round + 1,
                "step": step,
                "micro_batch": 0,
                "device": self.device,
            }


def train(job: Job, device: DeviceId, data: Dataset, *, mkldnn: bool = True) -> PyTorch:
    """Trains the whole of `job` on one device's data."""
    with _mkldnn(mkldnn):
        run = PyTorch.begin(job, device)
        for inputs, labels in batches(job, device, data):
            run.step(inputs, labels)
    return run


@contextmanager
def _mkldnn(enabled: bool) -> Iterator[None]:
    with warnings.catch_warnings():
        # torch warns of a setting for Intel GPUs, which it touches in passing.
        warnings.filterwarnings("ignore", message="TF32 acceleration", category=UserWarning)
        with torch.backends.mkldnn.flags(enabled=enabled):
            yield


def batches(job: Job, device: DeviceId, data: Dataset) -> Iterator[tuple[Array, Array]]:
    """Yields the job's batches in the device's order."""
    training = job.training
    for step in range(training.rounds * training.local_steps):
        start = step * training.batch
        yield data.batch(samples(training.seed, device, len(data), start, training.batch))


def optimiser_for(spec: OptimiserSpec, model: nn.Module) -> torch.optim.Optimizer:
    """Returns torch's own optimiser with these constants."""
    parameters = list(model.parameters())
    if spec.name == "sgd":
        return torch.optim.SGD(
            parameters, spec.lr, momentum=spec.momentum, weight_decay=spec.weight_decay
        )
    kind: type[torch.optim.Adam] = torch.optim.Adam if spec.name == "adam" else torch.optim.AdamW
    return kind(
        parameters,
        spec.lr,
        betas=(spec.beta1, spec.beta2),
        eps=spec.eps,
        weight_decay=spec.weight_decay,
    )


class MaskedDropout(nn.Module):
    """Dropout by the masks that the product draws at the same place of the run."""

    def __init__(self, path: str, drop: float) -> None:
        super().__init__()
        self.path, self.drop = path, drop
        self.place: dict[str, Any] = {}

    def forward(self, x: Tensor) -> Tensor:
        keep = dropout_mask(generator(**self.place), x.shape, self.drop)
        return torch.where(torch.from_numpy(keep), x, 0.0) / (1.0 - self.drop)


def _mask_dropout(model: nn.Module) -> Iterator[MaskedDropout]:
    for path, layer in list(model.named_modules()):
        if isinstance(layer, nn.Dropout) and layer.p:
            masked = MaskedDropout(path, layer.p)
            model.set_submodule(path, masked)
            yield masked
