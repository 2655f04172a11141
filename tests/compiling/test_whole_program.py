"""A program of the whole model trains as torch trains: its loss, and the gradient of its loss."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from coordinator.compiling.device_programs import DevicePrograms
from coordinator.cutting.traced_model import TracedModel, trace
from coordinator.learning.objective import cross_entropy
from coordinator.plan import Assignment
from coordinator.zoo.small_cnn import small_cnn
from coordinator.zoo.vit import vit
from device_agent.segment import Segment
from runtime.errors import ModelError
from runtime.ids import DeviceId
from runtime.program import WHOLE_MODEL, SegmentProgram
from tests.compiling.agreement import arrays, worst_relative_error

BATCH, CLASSES = 6, 10
Objective = Callable[[Tensor, Tensor], Tensor]


class Tagger(nn.Module):
    """Tokens in, a class for each of them out."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 8)
        self.classes = nn.Linear(8, CLASSES)
        self.spare = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.classes(torch.tanh(self.words(x)))
        return y


def in_the_middle(outputs: Tensor, labels: Tensor) -> Tensor:
    return functional.nll_loss(outputs.log_softmax(-1).transpose(1, -1), labels, reduction="sum")


MODELS: dict[str, tuple[Callable[[], nn.Module], Tensor]] = {
    "small_cnn": (small_cnn, torch.rand(BATCH, 1, 28, 28)),
    "vit": (lambda: vit(width=24, depth=2, image_size=16), torch.rand(BATCH, 3, 16, 16)),
    "tagger": (Tagger, torch.randint(0, 20, (BATCH, 5))),
}
WEIGHTED = nn.CrossEntropyLoss(weight=torch.rand(CLASSES), ignore_index=3, label_smoothing=0.1)
CASES: list[tuple[str, Objective]] = [
    ("small_cnn", cross_entropy),
    ("vit", cross_entropy),
    ("tagger", cross_entropy),
    ("small_cnn", WEIGHTED),
    ("small_cnn", nn.CrossEntropyLoss(reduction="sum", ignore_index=0)),
    ("tagger", in_the_middle),
]


def compiled(traced: TracedModel, x: Tensor, objective: Objective) -> SegmentProgram:
    programs = DevicePrograms(traced, lambda batch: torch.zeros_like(x[:batch]), objective)
    return programs.of(Assignment(DeviceId("board"), WHOLE_MODEL, "fp32", "fp32", BATCH))


@pytest.mark.parametrize(("name", "objective"), CASES, ids=range(len(CASES)))
def test_loss_and_gradients_are_torchs(name: str, objective: Objective) -> None:
    torch.manual_seed(3)
    build, x = MODELS[name]
    model = build()
    traced = trace(model, (x,))
    y = torch.randint(0, CLASSES, (BATCH, *traced.cut(WHOLE_MODEL).smashed_shape[:-1]))
    program = compiled(traced, x, objective)
    segment = Segment(program)
    held = traced.split(WHOLE_MODEL).device.state_dict()
    segment.load_state(arrays(held))
    expected = copy.deepcopy(model).train()
    loss = objective(expected(x), y)
    torch.autograd.backward(loss)
    found = segment.forward([x.numpy(), y.numpy()], {})["smashed"]
    np.testing.assert_allclose(found, loss.detach().numpy(), rtol=1e-5)
    gradients = {k: p.grad.numpy() for k, p in expected.named_parameters() if p.grad is not None}
    assert worst_relative_error(segment.backward(np.ones((), np.float32)), gradients) <= 1e-4
    assert program.manifest.is_whole_model
    assert {spec.name for spec in program.manifest.parameters} == gradients.keys()


def test_what_no_node_uses_stays_with_the_server() -> None:
    split = trace(Tagger(), (MODELS["tagger"][1],)).split(WHOLE_MODEL)
    assert set(split.server.state_dict()) == {"spare.weight", "spare.bias"}
    outputs = torch.rand(BATCH, 5, CLASSES)
    assert torch.equal(split.server(outputs), outputs)


def test_the_whole_model_is_the_last_of_the_cuts() -> None:
    traced = trace(small_cnn(), (MODELS["small_cnn"][1],))
    whole, last = traced.cut(WHOLE_MODEL), traced.cuts[-1]
    assert traced.places == (*traced.cuts, whole)
    assert whole.device_flops_per_sample == traced.flops_per_sample
    assert whole.device_parameters == traced.parameters
    assert whole.training_memory_bytes(BATCH) > last.training_memory_bytes(BATCH)
    assert whole.smashed_bytes_per_sample == 0


def test_a_model_without_one_output_is_not_trained_whole() -> None:
    class Summed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.layers(x).sum(0)
            return y

    traced = trace(Summed(), (torch.zeros(2, 4),))
    assert traced.whole is None
    with pytest.raises(ModelError, match="cannot be trained whole"):
        traced.cut(WHOLE_MODEL)


def test_a_loss_without_lowering_is_named() -> None:
    def odd(outputs: Tensor, labels: Tensor) -> Tensor:
        return torch.sinc(outputs).sum() * labels.sum()

    x = MODELS["small_cnn"][1]
    with pytest.raises(ModelError, match=r"cut whole-model: .*sinc"):
        compiled(trace(small_cnn(), (x,)), x, odd)
