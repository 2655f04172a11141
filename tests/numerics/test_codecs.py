"""Codecs: bounded error, no bias, exact sizes, and no trust in what arrives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from runtime.codecs import CODECS, Floats, Parts, channel_axis, decode, encode, encoded_bytes
from runtime.errors import WireError
from runtime.randomness import generator

SHAPES = st.sampled_from([(), (0,), (7,), (3, 5), (300, 2), (0, 4), (4, 0), (8, 3, 8, 8), (2, 3)])
FINITE = st.floats(-(2.0**100), 2.0**100, width=32)
TENSORS: st.SearchStrategy[Floats] = SHAPES.flatmap(
    lambda shape: hnp.arrays(np.float32, shape, elements=FINITE, fill=FINITE)
)
NAMES = sorted(CODECS)


def noise(step: int = 0) -> np.random.Generator:
    return generator("noise", seed=1, round=1, step=step, micro_batch=0, device="a")


def through(codec: str, array: Floats, *, stochastic: bool = False) -> Floats:
    parts = encode(codec, array, noise=noise() if stochastic else None)
    return decode(codec, parts, array.shape)


def scale_of_each_value(parts: Parts, shape: tuple[int, ...]) -> Floats:
    axis = channel_axis(shape)
    spread = [1] * len(shape)
    if axis is not None:
        spread[axis] = shape[axis]
    return np.broadcast_to(parts[".scale"].reshape(spread), shape)


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((), None),
        ((1000,), None),
        ((256, 3), 1),
        ((255, 3), None),
        ((1, 3, 16, 16), 1),
        ((1, 3, 15, 17), None),
        ((4, 0, 9), None),
        ((0, 4), None),
    ],
)
def test_a_channel_needs_256_values_of_its_own(shape: tuple[int, ...], axis: int | None) -> None:
    assert channel_axis(shape) == axis


@settings(deadline=None)
@given(array=TENSORS)
def test_fp32_is_exact(array: Floats) -> None:
    assert through("fp32", array).tobytes() == array.tobytes()


@settings(deadline=None)
@given(array=TENSORS)
def test_fp16_is_within_half_a_place_or_saturates(array: Floats) -> None:
    inside = np.clip(array, -65504, 65504)

    assert np.all(np.abs(through("fp16", array) - inside) <= np.abs(inside) * 2**-11 + 2**-25)


def test_fp16_saturates_and_keeps_nan() -> None:
    array = np.array([1e6, -np.inf, np.nan, 65520], np.float32)

    assert np.array_equal(
        through("fp16", array), np.array([65504, -65504, np.nan, 65504], np.float32), equal_nan=True
    )


@settings(deadline=None)
@given(array=TENSORS)
def test_int8_rounds_to_the_nearest_step(array: Floats) -> None:
    scale = scale_of_each_value(encode("int8", array, noise=None), array.shape)

    assert np.all(np.abs(through("int8", array) - array) <= scale * 0.5001)


@settings(deadline=None)
@given(array=TENSORS)
def test_int8_with_noise_stays_within_a_step(array: Floats) -> None:
    scale = scale_of_each_value(encode("int8", array, noise=noise()), array.shape)

    assert np.all(np.abs(through("int8", array, stochastic=True) - array) <= scale * 1.0001)


@settings(deadline=None)
@given(array=TENSORS, stochastic=st.booleans())
def test_int8_keeps_zero_exact(array: Floats, stochastic: bool) -> None:
    assert np.all(through("int8", array, stochastic=stochastic)[array == 0] == 0)


# Of values with both signs the ends may round to 254 steps apart; then the next scale differs.
@settings(deadline=None)
@given(array=TENSORS, sign=st.sampled_from([-1, 1]))
def test_what_was_decoded_once_is_encoded_alike(array: Floats, sign: int) -> None:
    once = through("int8", np.abs(array) * np.float32(sign))

    np.testing.assert_allclose(through("int8", once), once, rtol=1e-6)


@settings(deadline=None)
@given(array=TENSORS, codec=st.sampled_from(NAMES), stochastic=st.booleans())
def test_the_planners_size_is_the_real_size(array: Floats, codec: str, stochastic: bool) -> None:
    parts = encode(codec, array, noise=noise() if stochastic else None)

    assert sum(part.nbytes for part in parts.values()) == encoded_bytes(codec, array.shape)


def test_noise_leaves_the_mean_alone_even_at_the_ends_of_the_range() -> None:
    draws = 10_000
    values = np.linspace(-3.1, 5.3, 41, dtype=np.float32)
    array = np.repeat(values, draws)
    scale = encode("int8", array, noise=noise())[".scale"][0]

    means = through("int8", array, stochastic=True).reshape(41, draws).mean(axis=1)

    assert np.abs(means - values).max() < 5 * 0.5 * scale / np.sqrt(draws)


def test_rounding_without_noise_is_half_to_even() -> None:
    array = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 200, -55], np.float32)

    parts = encode("int8", array, noise=None)

    assert [parts[".scale"].tolist(), parts[".zero"].tolist()] == [[1.0], [55]]
    assert parts[".q"].tolist() == [55, 57, 57, 55, 53, 255, 0]


def test_noise_is_a_function_of_its_place() -> None:
    array = np.linspace(-1, 1, 99_999, dtype=np.float32).reshape(3, 33_333)
    first, again = (encode("int8", array, noise=noise(4))[".q"] for _ in range(2))

    assert np.array_equal(first, again)
    assert not np.array_equal(first, encode("int8", array, noise=noise(5))[".q"])


def test_channels_have_scales_of_their_own() -> None:
    array = np.random.default_rng(0).standard_normal((64, 5, 20, 50)).astype(np.float32)
    array *= np.array([1e-30, 1e-3, 0, 1, 1e20], np.float32)[None, :, None, None]

    error = np.abs(through("int8", array) - array).max(axis=(0, 2, 3))

    assert np.all(error <= np.abs(array).max(axis=(0, 2, 3)) / 200)


@pytest.mark.parametrize("value", [0.0, 5.0, -5.0, 1e-45, -1e-40, 1.2e-38, 8e37, -8e37])
@pytest.mark.parametrize("stochastic", [False, True])
def test_a_constant_channel_is_safe(value: float, stochastic: bool) -> None:
    array = np.full((256, 2), value, np.float32)

    decoded = through("int8", array, stochastic=stochastic)

    assert np.allclose(decoded, array, rtol=1e-5, atol=1.2e-38)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e38])
def test_int8_refuses_what_has_diverged(value: float) -> None:
    array = np.ones((300, 3), np.float32)
    array[7, 1] = value

    with pytest.raises(FloatingPointError, match="training diverged"):
        encode("int8", array, noise=None)


def test_a_strided_array_is_encoded_by_value() -> None:
    array = np.random.default_rng(0).standard_normal((600, 4)).astype(np.float32)[::2, ::-1]
    strided, dense = (encode("int8", each, noise=None) for each in (array, array.copy()))

    assert all(np.array_equal(strided[name], dense[name]) for name in dense)


BREAKAGES: list[Callable[[Parts], Any]] = [
    lambda parts: parts.pop(".zero"),
    lambda parts: parts.update({"": parts[".q"]}),
    lambda parts: parts.update({".q": parts[".q"][:-1]}),
    lambda parts: parts.update({".q": parts[".q"].astype(np.int8)}),
    lambda parts: parts.update({".scale": parts[".scale"][:1]}),
    lambda parts: parts.update({".scale": parts[".scale"].astype(np.float64)}),
    lambda parts: parts.update({".scale": parts[".scale"] * np.float32("nan")}),
    lambda parts: parts.update({".scale": parts[".scale"] * np.float32("inf")}),
    lambda parts: parts.update({".scale": parts[".scale"] * 0}),
    lambda parts: parts.update({".scale": -parts[".scale"]}),
    lambda parts: parts.update({".zero": parts[".zero"][None]}),
]


@pytest.mark.parametrize("spoil", BREAKAGES)
def test_spoilt_parts_are_a_wire_error(spoil: Callable[[Parts], Any]) -> None:
    parts = encode("int8", np.ones((300, 3), np.float32), noise=None)
    spoil(parts)

    with pytest.raises(WireError):
        decode("int8", parts, (300, 3))


@pytest.mark.parametrize("codec", NAMES)
def test_parts_of_another_shape_are_a_wire_error(codec: str) -> None:
    parts = encode(codec, np.ones((4, 6), np.float32), noise=None)

    with pytest.raises(WireError, match="expected"):
        decode(codec, parts, (6, 4))


@pytest.mark.parametrize("q", [0, 255])
def test_the_largest_scale_decodes_to_finite_values(q: int) -> None:
    largest = np.float32(np.finfo(np.float32).max / 256)
    parts: Parts = {
        ".q": np.full(4, q, np.uint8),
        ".scale": np.array([largest], np.float32),
        ".zero": np.array([255 - q], np.uint8),
    }

    assert np.isfinite(decode("int8", parts, (4,))).all()


def test_an_unknown_codec_is_named() -> None:
    with pytest.raises(WireError, match="'int3' is unknown; known are fp32, fp16, int8"):
        decode("int3", {}, (1,))
    with pytest.raises(ValueError, match="'int3' is unknown; use one of"):
        encode("int3", np.ones(1, np.float32), noise=None)


def test_other_float_types_are_refused() -> None:
    with pytest.raises(TypeError, match="float64"):
        encode("fp16", np.ones(3), noise=None)  # type: ignore[arg-type]
