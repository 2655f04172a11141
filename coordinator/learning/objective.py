"""What a job minimises, and how good a model is at it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from attrs import frozen
from torch import Tensor, nn
from torch.nn import functional

from coordinator.job import CROSS_ENTROPY, Job
from runtime.dataset import Dataset
from runtime.entry_point import in_one_line, load_function
from runtime.errors import ModelError

Objective = Callable[[Tensor, Tensor], Tensor]
"""(outputs, labels) -> mean loss, a scalar."""


def build_objective(job: Job) -> Objective:
    """Returns the job's loss: the built-in one, or what the user's factory returns.

    Raises ModelError when the factory cannot be loaded, raises, or returns no function.
    """
    spec = job.loss.factory
    if spec == CROSS_ENTROPY:
        return cross_entropy
    factory = load_function(spec, job.base, ModelError)
    try:
        made = factory()
    except Exception as error:
        raise ModelError(f"{spec} failed: {in_one_line(error)}") from error
    if not callable(made):
        raise ModelError(f"{spec} returned a {type(made).__name__}, not a function")
    objective: Objective = made
    return objective


def cross_entropy(outputs: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of [..., classes] outputs and [...] labels, tokens counted singly."""
    return functional.cross_entropy(outputs.flatten(0, -2), labels.flatten())


@frozen
class Score:
    """How a model does on held-out data; both are means over labels."""

    accuracy: float
    loss: float


def evaluate(model: nn.Module, objective: Objective, data: Dataset, batch: int) -> Score:
    """Runs `model` in eval mode over all of `data`."""
    model.eval()
    correct, labelled, loss_sum = 0, 0, 0.0
    with torch.no_grad():
        for start in range(0, len(data), batch):
            x, y = data.batch(np.arange(start, min(start + batch, len(data))))
            inputs, labels = torch.from_numpy(x), torch.from_numpy(y)
            outputs = model(inputs)
            correct += int((outputs.argmax(-1) == labels).sum())
            loss_sum += float(objective(outputs, labels)) * labels.numel()
            labelled += labels.numel()
    return Score(correct / labelled, loss_sum / labelled)
