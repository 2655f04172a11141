"""A plain torch module; nothing in it knows of EdgeSplit."""

from torch import Tensor, nn


def block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )


class ShoeNet(nn.Module):
    """[n, 1, 28, 28] to [n, 3]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.front = block(1, width)
        self.middle = block(width, 2 * width)
        self.head = nn.Linear(2 * width * 7 * 7, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.middle(self.front(images)).flatten(1))
