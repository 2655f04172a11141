"""MobileNetV2 for 32x32 images (Sandler et al., arXiv:1801.04381, table 2).

The strides of the first layer and of the second stage are 1 rather than 2, so that a 32x32 image
still has 4x4 positions at the end.
"""

from __future__ import annotations

from torch import Tensor, nn

from coordinator.zoo.normalisation import norm2d

STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, channels, blocks and first stride of each stage."""


class Inverted(nn.Module):
    """Expand by 1x1, filter each channel by 3x3, project by 1x1; add the input where it fits."""

    def __init__(self, channels: int, goes: int, stride: int, expansion: int, norm: str) -> None:
        super().__init__()
        wide = channels * expansion
        expand = [] if expansion == 1 else [_conv(channels, wide, 1, 1, 1, norm)]
        filtered = _conv(wide, wide, 3, stride, wide, norm)
        project = nn.Sequential(nn.Conv2d(wide, goes, 1, bias=norm == "none"), norm2d(norm, goes))
        self.branch = nn.Sequential(*expand, filtered, project)
        self.adds = stride == 1 and channels == goes

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C', H', W']."""
        change: Tensor = self.branch(x)
        return x + change if self.adds else change


class MobileNet(nn.Module):
    """[B, in_channels, 32, 32] to [B, classes]."""

    def __init__(self, width: float, in_channels: int, classes: int, norm: str) -> None:
        super().__init__()
        channels, last = _scaled(32, width), max(1280, _scaled(1280, width))
        self.stem = _conv(in_channels, channels, 3, 1, 1, norm)
        blocks: list[nn.Module] = []
        for expansion, base, count, first_stride in STAGES:
            for index in range(count):
                stride, goes = (first_stride if index == 0 else 1), _scaled(base, width)
                blocks.append(Inverted(channels, goes, stride, expansion, norm))
                channels = goes
        self.blocks = nn.Sequential(*blocks)
        self.head = _conv(channels, last, 1, 1, 1, norm)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(last, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores."""
        x = self.head(self.blocks(self.stem(x)))
        scores: Tensor = self.classifier(self.flatten(self.pool(x)))
        return scores


def mobilenet(
    width: float = 1.0, in_channels: int = 3, classes: int = 10, norm: str = "batch"
) -> MobileNet:
    """Cuts `stem`, `blocks.0` to `blocks.15`, `blocks`; channels are multiples of 8."""
    return MobileNet(width, in_channels, classes, norm)


def _conv(
    channels: int, goes: int, kernel: int, stride: int, groups: int, norm: str
) -> nn.Sequential:
    convolution = nn.Conv2d(
        channels, goes, kernel, stride, kernel // 2, groups=groups, bias=norm == "none"
    )
    return nn.Sequential(convolution, norm2d(norm, goes), nn.ReLU6())


def _scaled(channels: int, width: float) -> int:
    return max(8, round(channels * width / 8) * 8)
