"""The kinds of device segment that the compiler promises to handle: one small module each."""

from __future__ import annotations

from collections.abc import Callable

import torch
from attrs import frozen
from torch import Tensor, nn
from torch.nn import functional


def conv_bn(
    channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    conv = nn.Conv2d(
        channels_in, channels_out, kernel, stride, kernel // 2, groups=groups, bias=False
    )
    return [conv, nn.BatchNorm2d(channels_out)]


class BasicBlock(nn.Module):
    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *conv_bn(channels_in, channels_out, 3, stride),
            nn.ReLU(inplace=True),
            *conv_bn(channels_out, channels_out),
        )
        same = stride == 1 and channels_in == channels_out
        self.shortcut: nn.Module = (
            nn.Identity() if same else nn.Sequential(*conv_bn(channels_in, channels_out, 1, stride))
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.body(x) + self.shortcut(x))


class Bottleneck(nn.Module):
    def __init__(self, channels_in: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *conv_bn(channels_in, width, 1),
            nn.ReLU(),
            *conv_bn(width, width, 3, stride),
            nn.ReLU(),
            *conv_bn(width, 4 * width, 1),
        )
        self.shortcut = nn.Sequential(*conv_bn(channels_in, 4 * width, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.body(x) + self.shortcut(x))


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int, gate: nn.Module) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, channels // 4, 1)
        self.expand = nn.Conv2d(channels // 4, channels, 1)
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        scale = self.expand(functional.relu(self.reduce(self.pool(x))))
        y: Tensor = x * self.gate(scale)
        return y


class InvertedResidual(nn.Module):
    def __init__(
        self,
        channels: int,
        channels_out: int,
        act: Callable[[], nn.Module],
        *,
        stride: int = 1,
        kernel: int = 3,
        gate: nn.Module | None = None,
    ) -> None:
        super().__init__()
        wide = 3 * channels
        squeeze = [SqueezeExcite(wide, gate)] if gate is not None else []
        self.body = nn.Sequential(
            *conv_bn(channels, wide, 1),
            act(),
            *conv_bn(wide, wide, kernel, stride, groups=wide),
            act(),
            *squeeze,
            *conv_bn(wide, channels_out, 1),
        )
        self.residual = stride == 1 and channels == channels_out

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return x + y if self.residual else y


class DenseLayer(nn.Module):
    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, growth, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.body(x)], 1)


class Attention(nn.Module):
    def __init__(self, width: int, heads: int, *, causal: bool) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.heads, self.causal = heads, causal

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        qkv = self.qkv(x).reshape(batch, length, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        y = functional.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        mixed: Tensor = self.out(y.transpose(1, 2).reshape(batch, length, width))
        return mixed


class Block(nn.Module):
    def __init__(self, width: int, heads: int, *, causal: bool = False) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads, causal=causal)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        y: Tensor = x + self.mlp(self.norm2(x))
        return y


class VisionTransformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 32, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 32) * 0.1)
        self.position = nn.Parameter(torch.randn(1, 17, 32) * 0.1)
        self.block = Block(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patch(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(x.shape[0], -1, -1), patches], 1)
        y: Tensor = self.block(tokens + self.position)
        return y


class LanguageModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Embedding(50, 32)
        self.position = nn.Embedding(12, 32)
        self.block = Block(32, 4, causal=True)

    def forward(self, tokens: Tensor) -> Tensor:
        places = torch.arange(tokens.shape[1], device=tokens.device)
        y: Tensor = self.block(self.token(tokens) + self.position(places))
        return y


class Recurrent(nn.Module):
    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.cell(x)[0]
        return y


def vgg() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 16, 64),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(64, 32),
    )


def resnet_cifar() -> nn.Module:
    return nn.Sequential(
        *conv_bn(3, 16), nn.ReLU(), BasicBlock(16, 16), BasicBlock(16, 32, stride=2)
    )


def resnet_imagenet() -> nn.Module:
    return nn.Sequential(
        *conv_bn(3, 16, 7, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2, 1), BasicBlock(16, 16)
    )


def resnet_bottleneck() -> nn.Module:
    return nn.Sequential(*conv_bn(3, 16), nn.ReLU(), Bottleneck(16, 16), Bottleneck(64, 16, 2))


def mobilenet_v2() -> nn.Module:
    return nn.Sequential(
        *conv_bn(3, 16, stride=2),
        nn.ReLU6(inplace=True),
        InvertedResidual(16, 16, nn.ReLU6),
        InvertedResidual(16, 24, nn.ReLU6, stride=2),
    )


def mobilenet_v3() -> nn.Module:
    gate = nn.Hardsigmoid()
    return nn.Sequential(
        *conv_bn(3, 16, stride=2),
        nn.Hardswish(),
        InvertedResidual(16, 16, nn.Hardswish, kernel=5, gate=gate),
        InvertedResidual(16, 24, nn.ReLU, stride=2, gate=gate),
        nn.AdaptiveAvgPool2d((3, 2)),
    )


def densenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        DenseLayer(16, 8),
        DenseLayer(24, 8),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Conv2d(32, 16, 1, bias=False),
        nn.AvgPool2d(2, 2),
    )


def efficientnet() -> nn.Module:
    return nn.Sequential(
        *conv_bn(3, 16, stride=2), nn.SiLU(), InvertedResidual(16, 16, nn.SiLU, gate=nn.Sigmoid())
    )


def group_norm() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.GroupNorm(4, 16), nn.ReLU(), nn.Conv2d(16, 16, 3, 2)
    )


def keyword_spotting() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(10, 24, 5, stride=2, padding=2),
        nn.BatchNorm1d(24),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(24, 32, 3),
        nn.BatchNorm1d(32),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(1),
    )


def conv_transpose() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1),
        nn.Tanh(),
    )


def upsample() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.Upsample(size=(11, 13), mode="bilinear"),
    )


def assorted() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ELU(),
        nn.Conv2d(16, 16, 3, padding=1, groups=4),
        nn.LeakyReLU(0.1),
        nn.AvgPool2d(3, 2, 1),
        nn.Softplus(),
    )


def floats(*shape: int) -> Callable[[], Tensor]:
    return lambda: torch.randn(*shape)


@frozen
class SegmentCase:
    name: str
    build: Callable[[], nn.Module]
    example: Callable[[], Tensor]


CASES = (
    SegmentCase("vgg", vgg, floats(4, 3, 16, 16)),
    SegmentCase("resnet-cifar", resnet_cifar, floats(4, 3, 16, 16)),
    SegmentCase("resnet-imagenet", resnet_imagenet, floats(4, 3, 32, 32)),
    SegmentCase("resnet-bottleneck", resnet_bottleneck, floats(4, 3, 16, 16)),
    SegmentCase("mobilenet-v2", mobilenet_v2, floats(4, 3, 32, 32)),
    SegmentCase("mobilenet-v3", mobilenet_v3, floats(4, 3, 32, 32)),
    SegmentCase("densenet", densenet, floats(4, 3, 16, 16)),
    SegmentCase("efficientnet", efficientnet, floats(4, 3, 32, 32)),
    SegmentCase("group-norm", group_norm, floats(4, 3, 16, 16)),
    SegmentCase("vit", VisionTransformer, floats(4, 3, 16, 16)),
    SegmentCase("gpt", LanguageModel, lambda: torch.randint(0, 50, (4, 12))),
    SegmentCase("keyword-spotting", keyword_spotting, floats(4, 10, 49)),
    SegmentCase("gru", lambda: Recurrent(nn.GRU(8, 12, batch_first=True)), floats(4, 7, 8)),
    SegmentCase("lstm", lambda: Recurrent(nn.LSTM(8, 12, batch_first=True)), floats(4, 7, 8)),
    SegmentCase("conv-transpose", conv_transpose, floats(4, 3, 16, 16)),
    SegmentCase("upsample", upsample, floats(4, 3, 16, 16)),
    SegmentCase("assorted", assorted, floats(4, 3, 16, 16)),
)
