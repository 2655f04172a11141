"""Which cuts a model of the user's own has, and why not others."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 (its name everywhere)
from torch import Tensor, nn

from coordinator.cutting.traced_model import TracedModel, trace
from runtime.errors import ModelError


def names(traced: TracedModel) -> list[str]:
    return [cut.name for cut in traced.cuts]


def assert_splits_exactly(model: nn.Module, *inputs: Tensor) -> TracedModel:
    """Every cut gives the whole model's output, and its state_dict keys in two parts."""
    whole = copy.deepcopy(model)
    traced = trace(model, inputs)
    for cut in traced.cuts:
        split = copy.deepcopy(traced.split(cut.name))
        halves = [*split.device.state_dict(), *split.server.state_dict()]
        assert sorted(halves) == sorted(whole.state_dict()), cut.name
        fewer = [x[: len(x) - 1] for x in inputs]
        smashed = split.device(*fewer).detach().requires_grad_()
        assert torch.equal(split.server(smashed), whole(*fewer)), cut.name
    return traced


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4 * 4 * 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.relu(F.relu(self.conv2(x)), inplace=True)
        scores: Tensor = self.head(x.view(x.size(0), -1))
        return scores


def test_functions_are_named_after_the_cut_before_them() -> None:
    traced = assert_splits_exactly(Functional(), torch.randn(3, 1, 8, 8))
    expected = ["conv1", "conv1+relu", "conv1+max_pool2d", "conv2", "conv2+relu", "conv2+relu:2"]
    assert names(traced) == expected


class Dense(nn.Module):
    """Every layer reads all that came before it."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 2, 3, padding=1)
        self.second = nn.Conv2d(3, 2, 3, padding=1)
        self.third = nn.Conv2d(5, 2, 3, padding=1)
        self.norm = nn.BatchNorm2d(7)
        self.head = nn.Linear(7, 2)

    def forward(self, x: Tensor) -> Tensor:
        for layer in (self.first, self.second, self.third):
            x = torch.cat([x, layer(x)], 1)
        scores: Tensor = self.head(self.norm(x).mean((2, 3)))
        return scores


def test_dense_concatenation_cuts_only_where_all_is_joined() -> None:
    traced = assert_splits_exactly(Dense().eval(), torch.randn(3, 1, 6, 6))
    # The first cut is named after nothing before it, so it has no name and is left out.
    assert names(traced) == ["norm", "norm+mean"]


class Skip(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(4, 4)
        self.inner = nn.Linear(4, 4)
        self.act = nn.Tanh()
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        scores: Tensor = self.head(self.act(x + self.act(self.inner(x))))
        return scores


def test_a_cut_under_a_skip_connection_is_refused() -> None:
    traced = assert_splits_exactly(Skip(), torch.randn(3, 4))
    # `act` under the skip is not legal; its second call after it is.
    assert names(traced) == ["stem", "stem+add", "act"]
    with pytest.raises(ModelError, match="no cut 'inner'; there is"):
        traced.split("inner")


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 6, bias=False)
        self.middle = nn.Linear(6, 6)
        self.last = nn.Linear(6, 4, bias=False)
        self.last.weight = nn.Parameter(self.embed.weight.detach().T)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.last(self.middle(self.embed(x)))
        return result


def test_parameters_that_share_memory_are_never_parted() -> None:
    with pytest.raises(ModelError, match="no legal cut"):
        trace(Tied(), [torch.randn(3, 4)])


class Aliased(nn.Module):
    """One layer under two names, both used on the device side; one layer used by nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(4, 4)
        self.other = self.one
        self.head = nn.Linear(4, 2)
        self.unused = nn.Linear(3, 3)
        self.register_buffer("scale", torch.ones(2), persistent=False)
        self.scale: Tensor

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.other(self.one(x)))
        return scores * self.scale + torch.tensor([1.0, 2.0])


def test_tied_layers_on_one_side_keep_both_names() -> None:
    traced = assert_splits_exactly(Aliased(), torch.randn(3, 4))
    assert names(traced) == ["one"]
    split = traced.split("one")
    assert {"one.weight", "other.weight"} <= split.device.state_dict().keys()
    assert "unused.weight" in split.server.state_dict()


class SharedBuffer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(4))
        self.scale: Tensor
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.second(self.first(x * self.scale))
        return scores * self.scale


def test_a_buffer_used_on_both_sides_forbids_the_cut() -> None:
    with pytest.raises(ModelError, match="no legal cut"):
        trace(SharedBuffer(), [torch.randn(3, 4)])


class Sizes(nn.Module):
    """Sizes taken early and used late: the batch, a multiple of it, constants, the device."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(9, 8)
        self.mix = nn.Linear(8, 8)
        self.head = nn.Linear(4, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        batch, length = tokens.shape
        doubled = batch * 2
        x = self.mix(self.embed(tokens))
        place = torch.arange(length, device=tokens.device).view(1, length, 1)
        x = (x + place).reshape(doubled, length, 4)
        scores: Tensor = self.head(x.view(batch, length * 2, 4).mean(1))
        return scores


def test_sizes_cross_a_cut_without_crossing_the_wire() -> None:
    traced = assert_splits_exactly(Sizes(), torch.randint(0, 9, (3, 5)))
    # After the reshape the batch is no longer first; after the view it is again.
    assert names(traced) == ["embed", "mix", "mix+add", "mix+mean"]


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(4, 4), nn.Linear(3, 4)
        self.head = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 2))

    def forward(self, x: Tensor, y: Tensor, scale: float = 2.0) -> Tensor:
        scores: Tensor = self.head(self.left(x) + self.right(y) * scale)
        return scores


def test_every_input_stays_on_the_device() -> None:
    traced = assert_splits_exactly(TwoInputs(), torch.randn(3, 4), torch.randn(3, 3))
    assert names(traced) == ["head.0", "head.1"]


class Recurrent(nn.Module):
    """A leaf with two outputs, of which the head reads one."""

    def __init__(self) -> None:
        super().__init__()
        self.front = nn.Linear(3, 4)
        self.rnn = nn.GRU(4, 5, batch_first=True)
        self.attention = nn.MultiheadAttention(5, 1, batch_first=True)
        self.head = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.rnn(self.front(x))
        mixed, _ = self.attention(states, states, states, need_weights=False)
        scores: Tensor = self.head(mixed[:, -1])
        return scores


def test_leaves_that_give_tuples() -> None:
    traced = assert_splits_exactly(Recurrent(), torch.randn(3, 6, 3))
    assert names(traced) == ["front", "rnn", "attention"]
    assert traced.cuts[-1].device_parameters == traced.parameters - (5 * 2 + 2)


def test_parts_share_the_models_parameters() -> None:
    model = Skip()
    split = trace(model, [torch.randn(3, 4)]).split("stem")
    assert split.device.get_parameter("stem.weight") is model.stem.weight
    assert split.server.get_parameter("head.weight") is model.head.weight


class Causal(nn.Module):
    """A mask and positions made once from sizes, and read by every layer; a dict comes out."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(9, 4)
        self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(2)])
        self.head = nn.Linear(4, 9)

    def forward(self, tokens: Tensor) -> dict[str, Tensor]:
        length = tokens.size(1)
        place = torch.arange(length, device=tokens.device)
        hidden = (place[:, None] < place) | (place[:, None] > place + 2)
        x = self.embed(tokens)
        for layer in self.layers:
            scores = (x @ x.transpose(1, 2)).masked_fill(hidden, -1e9)
            x = layer(scores.softmax(-1) @ x)
        return {"scores": self.head(x)}


def test_a_mask_made_of_sizes_is_made_again_on_the_server() -> None:
    model, tokens = Causal(), torch.randint(0, 9, (3, 5))
    traced = trace(model, [tokens])
    bare = [name for name in names(traced) if "+" not in name]
    assert bare == ["embed", "layers.0", "layers.1"]
    for cut in traced.cuts:
        split = traced.split(cut.name)
        output = split.server(split.device(tokens))
        assert torch.equal(output["scores"], model(tokens)["scores"])
    after = traced.split("layers.1").server
    assert [node.op for node in after.graph.nodes] == ["placeholder", "call_module", "output"]
