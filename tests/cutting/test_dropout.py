"""Dropout masks depend on the place in the run alone, on either side of a cut."""

from __future__ import annotations

import copy
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from coordinator.cutting.dropout import (
    MaskedDropout,
    draw_masks,
    mask_specs,
    replace_dropout,
)
from coordinator.cutting.segments import Segment
from coordinator.cutting.traced_model import trace
from runtime.errors import ModelError
from runtime.randomness import dropout_mask, generator

CUTS = ("conv", "by_channel", "drop", "middle", "drop:2")
place = partial(generator, seed=3, round=1, step=2, micro_batch=0, device="porch")


class Net(nn.Module):
    """One dropout layer called twice, one by channel, one that drops nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 3)
        self.by_channel = nn.Dropout2d(0.25)
        self.middle = nn.Linear(6 * 16, 40)
        self.last = nn.Linear(40, 3)
        self.drop, self.none = nn.Dropout(0.5), nn.Dropout(0.0)

    def forward(self, x: Tensor) -> Tensor:
        x = self.drop(self.by_channel(self.conv(x))).flatten(1)
        scores: Tensor = self.last(self.none(self.drop(self.middle(x))))
        return scores


def halves(cut: str) -> tuple[Segment, Segment]:
    torch.manual_seed(5)
    split = copy.deepcopy(trace(Net(), [torch.zeros(2, 1, 6, 6)]).split(cut))
    return split.device, split.server


def masked(cut: str) -> tuple[Segment, Segment]:
    sides = halves(cut)
    for side in sides:
        replace_dropout(side)
    return sides


def test_masks_have_the_same_names_and_shapes_on_either_side() -> None:
    shapes = {"by_channel": (4, 6, 1, 1), "drop": (4, 6, 4, 4), "drop@1": (4, 40)}
    for cut in CUTS:
        device, server = masked(cut)
        x = torch.zeros(4, 1, 6, 6)
        mine = mask_specs(device, [x])
        theirs = mask_specs(server, [device.eval()(x)])
        assert {spec.name: spec.shape for spec in (*mine, *theirs)} == shapes, cut


def test_masks_do_not_depend_on_the_cut() -> None:
    outputs = []
    for cut in CUTS:
        device, server = masked(cut)
        for side in (device, server):
            draw_masks(side, place)
        x = torch.randn(4, 1, 6, 6, generator=torch.Generator().manual_seed(1))
        outputs.append(server(device(x)))
    assert all(torch.equal(output, outputs[0]) for output in outputs)


def test_masks_are_numpys_and_scale_what_they_keep() -> None:
    _, server = masked("middle")
    draw_masks(server, place)
    keep = dropout_mask(place("dropout:drop@1"), (8, 40), 0.5)
    assert 0.3 < keep.mean() < 0.7
    x = torch.randn(8, 40)
    dropped = server.get_submodule("drop")(x)
    np.testing.assert_array_equal(dropped.numpy(), x.numpy() * keep * 2)


def test_every_step_has_its_own_mask_and_the_same_one_again() -> None:
    layer = MaskedDropout("drop", 0.5, channelwise=False)
    kept = []
    for step in (1, 2, 1):
        draw_masks(layer, partial(generator, seed=3, round=1, step=step, micro_batch=0, device="d"))
        kept.append(layer(torch.ones(8, 40)))
    assert torch.equal(kept[0], kept[2])
    assert not torch.equal(kept[0], kept[1])


def test_eval_mode_is_the_identity() -> None:
    layer = MaskedDropout("drop", 0.5, channelwise=False).eval()
    x = torch.randn(2, 4)
    assert layer(x) is x


def test_train_mode_without_masks_is_refused() -> None:
    with pytest.raises(ModelError, match="before its masks were bound"):
        MaskedDropout("drop", 0.5, channelwise=False)(torch.randn(2, 4))


def test_keys_and_the_traced_model_stay() -> None:
    model = Net()
    traced = trace(model, [torch.zeros(2, 1, 6, 6)])
    server = copy.deepcopy(traced.split("conv").server)
    before = list(server.state_dict())
    replace_dropout(server)
    assert list(server.state_dict()) == before
    assert list(copy.deepcopy(server).state_dict()) == before
    assert type(model.drop) is nn.Dropout
    assert isinstance(server.get_submodule("none"), nn.Dropout)


@pytest.mark.parametrize(
    "layer",
    [
        nn.TransformerEncoderLayer(4, 1, 8, batch_first=True),
        nn.TransformerEncoderLayer(4, 1, 8, batch_first=True, dropout=0.0),
        nn.AlphaDropout(0.5),
        nn.RReLU(),
    ],
    ids=["transformer", "transformer-none", "alpha", "rrelu"],
)
def test_dropout_out_of_reach_is_refused(layer: nn.Module) -> None:
    model = nn.Sequential(nn.Linear(4, 4), layer, nn.Linear(4, 2))
    server = trace(model, [torch.zeros(2, 3, 4)]).split("0").server
    if isinstance(layer, nn.TransformerEncoderLayer) and layer.dropout.p == 0.0:
        replace_dropout(server)
        assert not any(isinstance(one, MaskedDropout) for one in server.modules())
        return
    with pytest.raises(ModelError, match=r"1[.\w]* \(\w+\) draws random numbers"):
        replace_dropout(server)
