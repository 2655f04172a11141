"""VGG-16 for 32x32 images (Simonyan and Zisserman, arXiv:1409.1556, configuration D).

Five stages of 3x3 convolutions with normalisation, and one linear layer as classifier: 14.7 M
parameters, where the three linear layers of the paper alone hold 120 M.
"""

from __future__ import annotations

from torch import Tensor, nn

from coordinator.zoo.normalisation import norm2d

STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Channels and convolutions of each stage; a pooling layer ends it."""


class Vgg(nn.Module):
    """[B, in_channels, 32, 32] to [B, classes]."""

    def __init__(
        self, width: float, in_channels: int, classes: int, norm: str, dropout: float
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels, convolutions in STAGES:
            scaled = max(1, round(channels * width))
            for _ in range(convolutions):
                layers += _convolution(in_channels, scaled, norm)
                in_channels = scaled
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(in_channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores."""
        x = self.flatten(self.pool(self.features(x)))
        scores: Tensor = self.classifier(self.dropout(x))
        return scores


def vgg16(
    width: float = 1.0,
    in_channels: int = 3,
    classes: int = 10,
    norm: str = "batch",
    dropout: float = 0.0,
) -> Vgg:
    """`width` multiplies every layer's channels; `norm` is "batch", "group" or "none"."""
    return Vgg(width, in_channels, classes, norm, dropout)


def _convolution(in_channels: int, channels: int, norm: str) -> list[nn.Module]:
    convolution = nn.Conv2d(in_channels, channels, 3, padding=1, bias=norm == "none")
    return [convolution, norm2d(norm, channels), nn.ReLU()]
