"""The zoo's concrete cuts and sizes, against the papers and by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from coordinator.cutting.traced_model import trace
from coordinator.zoo.keyword import keyword
from coordinator.zoo.mobilenet import mobilenet
from coordinator.zoo.resnet import resnet18, resnet50
from coordinator.zoo.small_cnn import small_cnn
from coordinator.zoo.vgg import vgg16
from coordinator.zoo.vit import vit


@pytest.mark.parametrize(
    ("build", "shape", "parameters"),
    [
        (small_cnn, (1, 28, 28), 29_178),
        (vgg16, (3, 32, 32), 14_724_042),
        (resnet18, (3, 32, 32), 11_173_962),
        (resnet50, (3, 224, 224), 25_557_032),
        (mobilenet, (3, 32, 32), 2_236_682),
        (vit, (3, 32, 32), 1_803_466),
        (keyword, (40, 101), 111_884),
    ],
)
def test_default_sizes(
    build: Callable[[], nn.Module], shape: tuple[int, ...], parameters: int
) -> None:
    with torch.device("meta"):
        model = build()
        scores = model.eval()(torch.empty(2, *shape))
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert scores.shape == (2, model.get_submodule("classifier").out_features)


def test_small_cnn_cuts() -> None:
    traced = trace(small_cnn(), [torch.zeros(1, 1, 28, 28)])
    steps = [".conv", ".norm", ".relu", ""]
    expected = [f"block{number}{step}" for number in (1, 2, 3) for step in steps]
    assert [cut.name for cut in traced.cuts] == [*expected, "flatten"]
    assert traced.cut("block2.pool") is traced.cut("block2")


def test_small_cnn_costs_by_hand() -> None:
    cut = trace(small_cnn(), [torch.zeros(1, 1, 28, 28)]).cut("block1")
    assert cut.smashed_shape == (16, 14, 14)
    assert cut.smashed_bytes_per_sample == 16 * 14 * 14 * 4
    assert cut.device_flops_per_sample == 2 * 28 * 28 * 16 * 9
    assert cut.device_parameters == 16 * 9 + 2 * 16
    assert cut.device_parameter_bytes == 4 * cut.device_parameters
    buffer_bytes = 2 * 16 * 4 + 8
    assert cut.training_memory_fixed_bytes == 4 * cut.device_parameter_bytes + buffer_bytes
    # Kept: the input, what norm and ReLU read and gave, the pool's indices (8 bytes each).
    plane = 16 * 28 * 28 * 4
    kept = 28 * 28 * 4 + 2 * plane + 16 * 14 * 14 * 8
    assert cut.training_memory_bytes_per_sample == kept + 2 * 2 * plane
    fixed, per_sample = cut.training_memory_fixed_bytes, cut.training_memory_bytes_per_sample
    assert cut.training_memory_bytes(32) == fixed + 32 * per_sample


def test_resnet18_cuts() -> None:
    traced = trace(resnet18(width=0.25), [torch.zeros(1, 3, 32, 32)])
    names = [cut.name for cut in traced.cuts]
    assert len(names) == 21
    bare = [name for name in names if "+" not in name]
    stages = [name for n in (1, 2, 3, 4) for name in (f"layer{n}.0", f"layer{n}")]
    assert bare == ["stem.conv", "stem.norm", "stem", *stages, "pool", "flatten"]
    assert names[3] == "layer1.0+add"
    assert traced.cut("layer2.1").name == "layer2"
    assert traced.cut("layer2.1").smashed_shape == (32, 16, 16)


def test_resnet18_flops() -> None:
    # 0.555 G multiply-adds: the stem, 16 convolutions, 3 shortcuts and the classifier.
    flops = trace(resnet18(), [torch.zeros(1, 3, 32, 32)]).flops_per_sample
    stem, plain = 32 * 32 * 64 * 27, 32 * 32 * 64 * 64 * 9
    first = 4 * plain
    others = 3 * (plain // 2 + 3 * plain + plain // 18)
    assert flops == 2 * (stem + first + others + 512 * 10)


def test_attention_counts_its_products() -> None:
    traced = trace(vit(depth=1), [torch.zeros(1, 3, 32, 32)])
    tokens, width = 64, 192
    linear = tokens * width * (3 * width + width)
    products = 2 * tokens * tokens * width
    before = traced.cut("embedding").device_flops_per_sample
    flops = traced.cut("blocks.0+add").device_flops_per_sample - before
    assert flops == 2 * (linear + products)


@pytest.mark.parametrize("build", [small_cnn, vgg16, resnet18, resnet50, mobilenet, keyword])
def test_unknown_norm_is_refused(build: Callable[..., nn.Module]) -> None:
    with pytest.raises(ValueError, match="norm must be one of batch, group, none"):
        build(norm="layer")


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="too small for 3 blocks"):
        small_cnn(image_size=7)
    with pytest.raises(ValueError, match="not a multiple of 5 heads"):
        vit(heads=5)
    with pytest.raises(ValueError, match="not a multiple of patch 5"):
        vit(patch=5)
    with pytest.raises(ValueError, match="small or large"):
        resnet18(stem="tiny")
