"""The parts that the forward graph sends are those of the codecs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from coordinator.compiling import compile_segment
from runtime import codecs
from runtime.program import Codec
from tests.compiling.agreement import Arrays, loaded

SHAPES = [(4, 3, 16, 16), (4, 8, 4, 4), (2, 300), (6, 5, 64)]


class Scaled(nn.Module):
    """One weight for the whole tensor, so that any activation can be had."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


def parts_of(x: NDArray[np.float32], codec: Codec) -> Arrays:
    module = Scaled()
    program = compile_segment(module, [torch.from_numpy(x)], cut="", codec=codec)
    parts = loaded(program, module).forward([x], {})
    declared = {p.name: (p.dtype, p.shape) for p in program.manifest.smashed_parts}
    assert {name: (part.dtype.name, part.shape) for name, part in parts.items()} == declared
    return {name.removeprefix("smashed"): part for name, part in parts.items()}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("codec", ["fp32", "fp16", "int8"])
def test_parts_are_those_of_the_codec(codec: Codec, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(1).normal(1, 3, shape).astype(np.float32)
    found, expected = parts_of(x, codec), codecs.encode(codec, x, noise=None)
    assert found.keys() == expected.keys()
    for suffix, part in expected.items():
        if suffix == ".q":  # division and multiplication by the reciprocal round apart
            assert np.abs(found[suffix].astype(int) - part).max() <= 1
            assert np.mean(found[suffix] != part) < 1e-3
        else:
            np.testing.assert_array_equal(found[suffix], part)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("offset", [-20.0, 0.0, 20.0])
def test_int8_comes_back_within_half_a_step(shape: tuple[int, ...], offset: float) -> None:
    x = np.random.default_rng(2).normal(offset, 3, shape).astype(np.float32)
    parts = parts_of(x, "int8")
    steps = np.full(shape[1] if codecs.channel_axis(shape) else 1, parts[".scale"])
    steps = steps.reshape(1, -1, *[1] * (len(shape) - 2))
    assert np.all(np.abs(codecs.decode("int8", parts, shape) - x) <= 0.501 * steps)


@pytest.mark.parametrize("value", [0.0, 5.0, -5.0])
def test_constant_channels_are_safe(value: float) -> None:
    x = np.random.default_rng(3).normal(0, 1, (4, 3, 16, 16)).astype(np.float32)
    x[:, 1] = value
    found = codecs.decode("int8", parts_of(x, "int8"), x.shape)
    np.testing.assert_allclose(found[:, 1], value, rtol=1e-6)


def test_fp16_saturates() -> None:
    x = np.array([[1e6, -1e6, 1.0, 0.0]], np.float32)
    np.testing.assert_array_equal(parts_of(x, "fp16")[""], [[65504, -65504, 1, 0]])
