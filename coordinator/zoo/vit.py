"""A small vision transformer (Dosovitskiy et al., arXiv:2010.11929), pre-norm, mean-pooled."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 (its name everywhere)
from torch import Tensor, nn


class Attention(nn.Module):
    """Self-attention of [B, T, width] over T, with `heads` heads."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of {heads} heads")
        self.heads, self.head_width = heads, width // heads
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, width] to the same shape."""
        qkv = self.qkv(x).view(x.size(0), x.size(1), 3, self.heads, self.head_width)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(query, key, value)
        joined: Tensor = self.project(mixed.transpose(1, 2).flatten(2))
        return joined


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(4 * width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, width] to the same shape."""
        x = x + self.attention(self.norm1(x))
        result: Tensor = x + self.mlp(self.norm2(x))
        return result


class Embedding(nn.Module):
    """[B, C, H, W] to [B, T, width]: one token per patch, plus its learnt position."""

    def __init__(self, in_channels: int, image_size: int, patch: int, width: int) -> None:
        super().__init__()
        if image_size % patch:
            raise ValueError(f"image size {image_size} is not a multiple of patch {patch}")
        self.patches = nn.Conv2d(in_channels, width, patch, stride=patch)
        self.position = nn.Parameter(torch.randn((image_size // patch) ** 2, width) * 0.02)

    def forward(self, x: Tensor) -> Tensor:
        """One token per patch."""
        tokens: Tensor = self.patches(x).flatten(2).transpose(1, 2) + self.position
        return tokens


class Vit(nn.Module):
    """[B, in_channels, image_size, image_size] to [B, classes]."""

    def __init__(
        self, embedding: Embedding, width: int, depth: int, heads: int, classes: int, dropout: float
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.blocks = nn.Sequential(*(Block(width, heads, dropout) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.classifier = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores."""
        tokens = self.norm(self.blocks(self.embedding(x)))
        scores: Tensor = self.classifier(tokens.mean(1))
        return scores


def vit(
    width: int = 192,
    depth: int = 4,
    heads: int = 3,
    patch: int = 4,
    image_size: int = 32,
    in_channels: int = 3,
    classes: int = 10,
    dropout: float = 0.0,
) -> Vit:
    """Cuts `embedding`, `blocks.0`, ..., `blocks` (the last block), `norm`."""
    embedding = Embedding(in_channels, image_size, patch, width)
    return Vit(embedding, width, depth, heads, classes, dropout)
