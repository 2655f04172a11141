"""Every zoo model, small enough to train a step in a test, with a batch that fits it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from attrs import frozen
from torch import Tensor, nn

from coordinator.zoo.keyword import keyword
from coordinator.zoo.mobilenet import mobilenet
from coordinator.zoo.resnet import resnet18, resnet50
from coordinator.zoo.small_cnn import small_cnn
from coordinator.zoo.vgg import vgg16
from coordinator.zoo.vit import vit


@frozen
class ZooCase:
    """A narrow model of the zoo and the shape of one sample."""

    name: str
    build: Callable[[], nn.Module]
    shape: tuple[int, ...]

    def model(self) -> nn.Module:
        """The model, the same at every call."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            return self.build()

    def batch(self, size: int = 4) -> Tensor:
        """Inputs, the same at every call."""
        return torch.randn(size, *self.shape, generator=torch.Generator().manual_seed(8))


ZOO = [
    ZooCase("small_cnn", small_cnn, (1, 28, 28)),
    ZooCase("small_cnn-group", lambda: small_cnn(norm="group"), (1, 28, 28)),
    ZooCase("small_cnn-none", lambda: small_cnn(norm="none"), (1, 28, 28)),
    ZooCase("vgg16", lambda: vgg16(width=0.125), (3, 32, 32)),
    ZooCase("vgg16-group", lambda: vgg16(width=0.125, norm="group"), (3, 32, 32)),
    ZooCase("resnet18", lambda: resnet18(width=0.125), (3, 32, 32)),
    ZooCase("resnet18-group", lambda: resnet18(width=0.125, norm="group"), (3, 32, 32)),
    ZooCase("resnet50", lambda: resnet50(width=0.125, classes=10), (3, 64, 64)),
    ZooCase("mobilenet", lambda: mobilenet(width=0.25), (3, 32, 32)),
    ZooCase("vit", lambda: vit(width=24, depth=2, image_size=16), (3, 16, 16)),
    ZooCase("keyword", lambda: keyword(widths=(16, 16, 24)), (40, 101)),
]
