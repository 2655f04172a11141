"""A small convolutional network: one block per width, then one linear layer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from coordinator.zoo.normalisation import norm2d


class SmallCnn(nn.Module):
    """[B, in_channels, image_size, image_size] to [B, classes]; each block halves the image."""

    def __init__(
        self, widths: Sequence[int], in_channels: int, image_size: int, classes: int, norm: str
    ) -> None:
        super().__init__()
        self.blocks = len(widths)
        for number, width in enumerate(widths, start=1):
            self.add_module(f"block{number}", _block(in_channels, width, norm))
            in_channels, image_size = width, image_size // 2
        if image_size == 0:
            raise ValueError(f"the image is too small for {len(widths)} blocks")
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(in_channels * image_size**2, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores."""
        for number in range(1, self.blocks + 1):
            x = self.get_submodule(f"block{number}")(x)
        scores: Tensor = self.classifier(self.flatten(x))
        return scores


def small_cnn(
    widths: Sequence[int] = (16, 32, 64),
    in_channels: int = 1,
    image_size: int = 28,
    classes: int = 10,
    norm: str = "batch",
) -> SmallCnn:
    """Cuts read `block1`, `block2`, ...; `norm` is "batch", "group" or "none"."""
    return SmallCnn(widths, in_channels, image_size, classes, norm)


def _block(in_channels: int, width: int, norm: str) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv"] = nn.Conv2d(in_channels, width, 3, padding=1, bias=norm == "none")
    if norm != "none":
        layers["norm"] = norm2d(norm, width)
    layers["relu"] = nn.ReLU()
    layers["pool"] = nn.MaxPool2d(2)
    return nn.Sequential(layers)
