"""Residual networks (He et al., arXiv:1512.03385): ResNet-18 and ResNet-50.

Two stems: "small" (one 3x3 convolution, for 32x32 images) and "large" (7x7 with stride 2 and
pooling, for 224x224).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from coordinator.zoo.normalisation import norm2d

BASE_CHANNELS = 64


class Residual(nn.Module):
    """relu(branch(x) + shortcut(x)): the last operation is the block's own ReLU."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C', H', W']."""
        total: Tensor = self.relu(self.branch(x) + self.shortcut(x))
        return total


class ResNet(nn.Module):
    """[B, in_channels, H, W] to [B, classes]."""

    def __init__(
        self, blocks: Sequence[int], bottleneck: bool, width: float, stem: nn.Module, norm: str
    ) -> None:
        super().__init__()
        self.stem = stem
        channels = _scaled(BASE_CHANNELS, width)
        for number, count in enumerate(blocks, start=1):
            inner = _scaled(BASE_CHANNELS * 2 ** (number - 1), width)
            stage: list[nn.Module] = []
            for index in range(count):
                stride = 2 if number > 1 and index == 0 else 1
                stage.append(_block(channels, inner, stride, bottleneck, norm))
                channels = inner * (4 if bottleneck else 1)
            self.add_module(f"layer{number}", nn.Sequential(*stage))
        self.stages = len(blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.channels = channels
        self.classifier: nn.Module = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Class scores."""
        x = self.stem(x)
        for number in range(1, self.stages + 1):
            x = self.get_submodule(f"layer{number}")(x)
        scores: Tensor = self.classifier(self.flatten(self.pool(x)))
        return scores


def resnet18(
    width: float = 1.0,
    in_channels: int = 3,
    classes: int = 10,
    norm: str = "batch",
    stem: str = "small",
) -> ResNet:
    """Two blocks of two 3x3 convolutions a stage; cuts `layer1.0`, `layer1`, `layer2.0`, ..."""
    return _resnet((2, 2, 2, 2), False, width, in_channels, classes, norm, stem)


def resnet50(
    width: float = 1.0,
    in_channels: int = 3,
    classes: int = 1000,
    norm: str = "batch",
    stem: str = "large",
) -> ResNet:
    """3, 4, 6 and 3 bottleneck blocks; the stride sits in the 3x3 convolution."""
    return _resnet((3, 4, 6, 3), True, width, in_channels, classes, norm, stem)


def _resnet(
    blocks: Sequence[int],
    bottleneck: bool,
    width: float,
    in_channels: int,
    classes: int,
    norm: str,
    stem: str,
) -> ResNet:
    first = _stem(stem, in_channels, _scaled(BASE_CHANNELS, width), norm)
    model = ResNet(blocks, bottleneck, width, first, norm)
    model.classifier = nn.Linear(model.channels, classes)
    return model


def _stem(kind: str, in_channels: int, channels: int, norm: str) -> nn.Module:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if kind == "small":
        layers["conv"] = _conv(in_channels, channels, 3, 1, norm)
    elif kind == "large":
        layers["conv"] = _conv(in_channels, channels, 7, 2, norm)
    else:
        raise ValueError(f"stem must be small or large, not {kind!r}")
    layers["norm"] = norm2d(norm, channels)
    layers["relu"] = nn.ReLU()
    if kind == "large":
        layers["pool"] = nn.MaxPool2d(3, stride=2, padding=1)
    return nn.Sequential(layers)


def _block(channels: int, inner: int, stride: int, bottleneck: bool, norm: str) -> Residual:
    """`stride` halves the image; the shortcut is a 1x1 convolution where shapes differ."""
    outer = 4 * inner if bottleneck else inner
    steps = [(1, 1, inner), (3, stride, inner), (1, 1, outer)]
    if not bottleneck:
        steps = [(3, stride, inner), (3, 1, outer)]
    branch: OrderedDict[str, nn.Module] = OrderedDict()
    came = channels
    for number, (kernel, step, goes) in enumerate(steps, start=1):
        branch[f"conv{number}"] = _conv(came, goes, kernel, step, norm)
        branch[f"norm{number}"] = norm2d(norm, goes)
        if number < len(steps):
            branch[f"relu{number}"] = nn.ReLU()
        came = goes
    shortcut: list[nn.Module] = []
    if stride != 1 or channels != outer:
        shortcut = [_conv(channels, outer, 1, stride, norm), norm2d(norm, outer)]
    return Residual(nn.Sequential(branch), nn.Sequential(*shortcut))


def _conv(in_channels: int, channels: int, kernel: int, stride: int, norm: str) -> nn.Conv2d:
    return nn.Conv2d(
        in_channels, channels, kernel, stride, padding=kernel // 2, bias=norm == "none"
    )


def _scaled(channels: int, width: float) -> int:
    return max(1, round(channels * width))
