"""The normalisation that a zoo model is asked for."""

from __future__ import annotations

import math

from torch import nn

KINDS = ("batch", "group", "none")
MOST_GROUPS = 8


def norm2d(kind: str, channels: int) -> nn.Module:
    """Normalises [B, channels, H, W]. Raises ValueError for a kind that is not in `KINDS`."""
    return nn.BatchNorm2d(channels) if kind == "batch" else _other(kind, channels)


def norm1d(kind: str, channels: int) -> nn.Module:
    """Normalises [B, channels, T]. Raises ValueError for a kind that is not in `KINDS`."""
    return nn.BatchNorm1d(channels) if kind == "batch" else _other(kind, channels)


def _other(kind: str, channels: int) -> nn.Module:
    if kind == "group":
        return nn.GroupNorm(math.gcd(MOST_GROUPS, channels), channels)
    if kind == "none":
        return nn.Identity()
    raise ValueError(f"norm must be one of {', '.join(KINDS)}, not {kind!r}")
