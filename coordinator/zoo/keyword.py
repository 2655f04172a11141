"""Keyword spotting on a spectrogram with convolutions over time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from coordinator.zoo.normalisation import norm1d


class Keyword(nn.Module):
    """[B, in_channels, T] to [B, classes]: in_channels are the bands of the spectrogram."""

    def __init__(self, widths: Sequence[int], in_channels: int, classes: int, norm: str) -> None:
        super().__init__()
        blocks = []
        for index, width in enumerate(widths):
            blocks.append(_block(in_channels, width, 1 if index == 0 else 2, norm))
            in_channels = width
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool1d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(in_channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores."""
        scores: Tensor = self.classifier(self.flatten(self.pool(self.blocks(x))))
        return scores


def keyword(
    widths: Sequence[int] = (64, 64, 96, 96),
    in_channels: int = 40,
    classes: int = 12,
    norm: str = "batch",
) -> Keyword:
    """Cuts `blocks.0`, `blocks.1`, ...; every block after the first halves the time."""
    return Keyword(widths, in_channels, classes, norm)


def _block(in_channels: int, width: int, stride: int, norm: str) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv"] = nn.Conv1d(in_channels, width, 5, stride, padding=2, bias=norm == "none")
    layers["norm"] = norm1d(norm, width)
    layers["relu"] = nn.ReLU()
    return nn.Sequential(layers)
