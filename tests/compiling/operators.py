"""Operators beyond the promised segments, each behind a convolution or a linear layer."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.compiling.segments import SegmentCase, floats


class Lambda(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class RMSNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.scale
        return y


def frozen_norm() -> nn.Module:
    class Frozen(nn.BatchNorm2d):
        def train(self, mode: bool = True) -> Frozen:
            super().train(False)
            return self

    norm = Frozen(8)
    norm.running_mean = torch.randn(8)
    norm.running_var = torch.rand(8) + 0.5
    return nn.Sequential(nn.Conv2d(3, 8, 3), norm, nn.ReLU())


def after_conv(*layers: nn.Module) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), *layers)


def mapped(function: Callable[[Tensor], Tensor]) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), Lambda(function))


def conv(channels_in: int, channels_out: int, *args: int, **kwargs: int) -> nn.Module:
    """Behind an activation, so that the gradient goes through to the layer before."""
    first = nn.Conv2d(3, channels_in, 1)
    return nn.Sequential(
        first,
        nn.Tanh(),
        nn.Conv2d(channels_in, channels_out, *args, **kwargs),  # type: ignore[arg-type]
    )


IMAGE = floats(4, 3, 12, 12)

LAYERS: dict[str, Callable[[], nn.Module]] = {
    "selu": after_conv(nn.SELU()),
    "celu": after_conv(nn.CELU(0.7)),
    "mish": after_conv(nn.Mish()),
    "gelu-tanh": after_conv(nn.GELU("tanh")),
    "softmax": after_conv(nn.Softmax(1)),
    "log-softmax": after_conv(nn.LogSoftmax(1)),
    "hardtanh": after_conv(nn.Hardtanh(-0.3, 0.4)),
    "threshold": after_conv(nn.Threshold(0.1, 0.0)),
    "batch-norm-frozen": frozen_norm,
    "batch-norm-without-history": after_conv(nn.BatchNorm2d(8, track_running_stats=False)),
    "batch-norm-without-weights": after_conv(nn.BatchNorm2d(8, affine=False)),
    "instance-norm": after_conv(nn.InstanceNorm2d(8, affine=True)),
    "max-pool-overlapping": after_conv(nn.MaxPool2d(3, 2)),
    "max-pool-gaps": after_conv(nn.MaxPool2d(2, 3)),
    "max-pool-ceil": after_conv(nn.MaxPool2d(3, 2, ceil_mode=True)),
    "average-pool-uncounted": after_conv(nn.AvgPool2d(3, 2, 1, count_include_pad=False)),
    "average-pool-remainder": after_conv(nn.AvgPool2d(5, 3)),
    "adaptive-max-pool": after_conv(nn.AdaptiveAvgPool2d((5, 1))),
    "upsample-corners": after_conv(nn.Upsample(size=(9, 7), mode="bilinear", align_corners=True)),
    "upsample-fraction": after_conv(nn.Upsample(scale_factor=1.7, mode="nearest")),
    "pixel-shuffle": after_conv(nn.PixelShuffle(2)),
    "conv-small-channels": lambda: conv(5, 7, 3, padding=1),
    "conv-per-tap": lambda: conv(16, 20, 3, padding=1),
    "conv-one-product": lambda: conv(16, 20, 3, stride=2),
    "conv-strided": lambda: conv(16, 12, 3, stride=2, padding=2),
    "conv-dilated": lambda: conv(16, 12, 3, padding=2, dilation=2),
    "conv-pointwise-strided": lambda: conv(16, 12, 1, stride=2),
    "conv-pointwise-padded": lambda: conv(16, 12, 1, padding=1),
    "conv-even-kernel": lambda: conv(16, 12, 4, stride=3, padding=1),
    "conv-grouped-strided": lambda: conv(16, 12, 3, groups=4, stride=2, padding=1),
    "depthwise": lambda: conv(16, 16, 3, groups=16, padding=1),
    "depthwise-wide-padding": lambda: conv(16, 16, 3, groups=16, padding=2),
    "depthwise-strided": lambda: conv(16, 16, 5, groups=16, padding=2, stride=2),
    "depthwise-dilated": lambda: conv(16, 16, 3, groups=16, padding=2, dilation=2),
    "depthwise-strided-dilated": lambda: conv(8, 8, 3, groups=8, stride=2, dilation=3, padding=2),
    "depthwise-multiplied": lambda: conv(8, 16, 3, groups=8, padding=1),
    "conv-transpose-strided": after_conv(nn.ConvTranspose2d(8, 5, 3, 2, 1, output_padding=1)),
    "select": mapped(lambda x: x[:, -2]),
    "slice": mapped(lambda x: x[:, 1:-2, ::2][..., 3:]),
    "chunk": mapped(lambda x: torch.cat(x.chunk(3, 1)[::-1], 1)),
    "split": mapped(lambda x: torch.mul(*torch.split(x, [4, 4], 1))),
    "pad": mapped(lambda x: functional.pad(x, (1, 2, 0, 3), value=0.5)),
    "flip": mapped(lambda x: x.flip(1, 3)),
    "clamp": mapped(lambda x: x.clamp(-0.2, 0.3)),
    "where": mapped(lambda x: torch.where(x > 0, x * 2, x.exp())),
    "variance": mapped(lambda x: x.var((2, 3), keepdim=True) + x.std(1, keepdim=True)),
    "extremes": mapped(lambda x: torch.maximum(x, x.mean(1, keepdim=True)).amax((2, 3))),
    "roots": mapped(lambda x: (x.square() + 1).sqrt().log() / (2 + x.abs())),
    "powers": mapped(lambda x: (x.sigmoid() ** 1.5) - 1 / (1.5 + x.tanh())),
    "squeeze": mapped(lambda x: x.unsqueeze(1).transpose(1, 3).flatten(1, 2).squeeze(0)),
    "matmul": mapped(lambda x: x.softmax(-1) @ x.transpose(-1, -2)),
    "stack": mapped(lambda x: torch.stack([x, x.cos(), x.sin()], 2)),
    "expand": mapped(lambda x: x.mean(1, keepdim=True).expand(-1, 5, -1, -1) * 2),
    "rms-norm": after_conv(RMSNorm(12)),
    "layer-norm-plain": after_conv(nn.LayerNorm([12, 12], elementwise_affine=False)),
}


def transformer_layer() -> nn.Module:
    return nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True, norm_first=True)


def padded_embedding() -> nn.Module:
    return nn.Sequential(nn.Embedding(20, 8, padding_idx=3), nn.Linear(8, 4))


def keyword_depthwise() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(10, 16, 5, 2, 2),
        nn.ReLU(),
        nn.Conv1d(16, 16, 3, 2, 1, groups=16),
        nn.Conv1d(16, 24, 1),
        nn.AvgPool1d(2),
    )


OPERATORS = (
    *(SegmentCase(name, build, IMAGE) for name, build in LAYERS.items()),
    SegmentCase("transformer-layer", transformer_layer, floats(4, 6, 16)),
    SegmentCase("embedding-padding", padded_embedding, lambda: torch.randint(0, 20, (4, 9))),
    SegmentCase("keyword-depthwise", keyword_depthwise, floats(4, 10, 41)),
    SegmentCase(
        "batch-norm-rows", lambda: nn.Sequential(nn.Linear(8, 6), nn.BatchNorm1d(6)), floats(32, 8)
    ),
    SegmentCase("linear-sequence", lambda: nn.Linear(8, 6, bias=False), floats(4, 5, 8)),
)
