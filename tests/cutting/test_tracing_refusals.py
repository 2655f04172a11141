"""What cannot be traced is refused with a sentence that says what to change."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 (its name everywhere)
from torch import Tensor, nn

from coordinator.cutting.traced_model import trace
from runtime.errors import ModelError


class Body(nn.Module):
    """Two layers; subclasses put something between them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 2)

    def between(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.second(self.between(self.first(x)))
        return scores


class Branches(Body):
    def between(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class ReadsMode(Body):
    def between(self, x: Tensor) -> Tensor:
        return x * 2 if self.training else x


class FunctionalDropout(Body):
    def between(self, x: Tensor) -> Tensor:
        return F.dropout(x, 0.5)


class Noise(Body):
    def between(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x)


class AttentionDropout(Body):
    def between(self, x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(x, x, x, dropout_p=0.1)


class BakedBatch(Body):
    def between(self, x: Tensor) -> Tensor:
        return x.view(3, 4)


class ItemAssignment(Body):
    def between(self, x: Tensor) -> Tensor:
        x[:, 0] = 0
        return x


class OverwritesSkip(Body):
    def between(self, x: Tensor) -> Tensor:
        return F.relu(x, inplace=True) + x


class DropsOverwrite(Body):
    def between(self, x: Tensor) -> Tensor:
        x.relu_()
        return x


class InPlaceOnly(Body):
    def between(self, x: Tensor) -> Tensor:
        return x.fill_(1.0)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Branches, "Branches cannot be traced: .*take out branches"),
        (ReadsMode, "different things in train and eval mode: replace code that reads"),
        (FunctionalDropout, "'dropout' in forward is called as a function.*nn.Dropout"),
        (Noise, "'randn_like' in forward"),
        (AttentionDropout, "'scaled_dot_product_attention' in forward"),
        (BakedBatch, r"does not run on inputs of shape \(2, 4\).*write x.size\(0\)"),
        (ItemAssignment, "ItemAssignment cannot be traced: .*item assignment"),
        (OverwritesSkip, "'relu' in forward overwrites a tensor that is read again later"),
        (DropsOverwrite, "'relu_' in forward overwrites"),
        (InPlaceOnly, "'fill_' in forward works in place and has no ordinary form"),
    ],
)
def test_refused(kind: type[Body], message: str) -> None:
    model = kind()
    with pytest.raises(ModelError, match=message):
        trace(model, [torch.zeros(3, 4)])
    assert model.training


def test_the_failing_module_is_named() -> None:
    model = nn.Sequential(nn.Linear(4, 4), Branches())
    with pytest.raises(ModelError, match=r"Sequential cannot be traced \(in 1\)"):
        trace(model, [torch.zeros(3, 4)])


def test_inputs_that_do_not_fit_the_model() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    with pytest.raises(ModelError, match="takes 1 to 1 inputs, the job gives 2"):
        trace(model, [torch.zeros(3, 4)] * 2)
    with pytest.raises(ModelError, match=r"does not run on inputs of shape \(2, 5\)"):
        trace(model, [torch.zeros(3, 5)])


class Variadic(Body):
    def forward(self, x: Tensor, **more: Any) -> Tensor:
        scores: Tensor = self.second(self.first(x))
        return scores


def test_variadic_forward_is_refused() -> None:
    with pytest.raises(ModelError, match="name every input as an ordinary argument"):
        trace(Variadic(), [torch.zeros(3, 4)])


def test_a_model_of_one_layer_has_no_cut() -> None:
    with pytest.raises(ModelError, match="Linear has no legal cut"):
        trace(nn.Linear(4, 2), [torch.zeros(3, 4)])


def test_unknown_cut_names_near_ones() -> None:
    traced = trace(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)), [torch.zeros(3, 4)])
    with pytest.raises(ModelError, match="no cut 'layer9'; there is 0, 1"):
        traced.cut("layer9")
    with pytest.raises(ModelError, match="no cut '2'"):
        traced.split("2")
