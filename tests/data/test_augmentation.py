from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from device_agent.augmentation import AUGMENTATIONS, SHIFT_PIXELS, augment, flip, noise, shift
from runtime.dataset import Augmentation
from runtime.errors import DataError
from runtime.randomness import generator

BATCH = np.random.default_rng(0).random((64, 3, 9, 7), np.float32)


def draw(step: int = 0) -> np.random.Generator:
    return generator("augmentation", seed=0, round=1, step=step, micro_batch=0, device="pi")


def test_the_names_of_the_configuration_are_those_that_exist() -> None:
    assert set(AUGMENTATIONS) == set(get_args(Augmentation))


@pytest.mark.parametrize("name", get_args(Augmentation))
def test_the_place_in_the_run_alone_decides(name: Augmentation) -> None:
    before = BATCH.copy()
    once, again = augment(BATCH, [name], draw()), augment(BATCH, [name], draw())
    np.testing.assert_array_equal(once, again)
    np.testing.assert_array_equal(BATCH, before)
    assert (once.shape, str(once.dtype)) == (BATCH.shape, "float32")
    assert not np.array_equal(once, augment(BATCH, [name], draw(step=1)))


def test_flip_mirrors_some_images_left_to_right() -> None:
    flipped = flip(BATCH, draw())
    kept = [np.array_equal(new, old) for new, old in zip(flipped, BATCH, strict=True)]
    mirrored = [
        np.array_equal(new, old[..., ::-1]) for new, old in zip(flipped, BATCH, strict=True)
    ]
    assert all(one != other for one, other in zip(kept, mirrored, strict=True))
    assert 16 < sum(mirrored) < 48


def test_shift_moves_each_image_by_up_to_two_pixels_and_fills_with_zeros() -> None:
    spot = np.zeros((200, 1, 9, 9), np.float32)
    spot[:, 0, 4, 4] = 1
    _, _, rows, columns = np.nonzero(shift(spot, draw()))
    assert len(rows) == 200
    moves = set(zip((rows - 4).tolist(), (columns - 4).tolist(), strict=True))
    reach = range(-SHIFT_PIXELS, SHIFT_PIXELS + 1)
    assert moves == {(down, right) for down in reach for right in reach}
    ones = shift(np.ones((200, 1, 9, 9), np.float32), draw())
    assert set(np.unique(ones)) == {0, 1}
    assert ones.sum(axis=(1, 2, 3)).min() == 49


def test_noise_is_small_and_centred() -> None:
    change = noise(BATCH, draw()) - BATCH
    assert abs(float(change.mean())) < 0.001
    assert 0.019 < float(change.std()) < 0.021


def test_augmentations_follow_each_other_in_order() -> None:
    random = draw()
    expected = noise(flip(BATCH, random), random)
    np.testing.assert_array_equal(augment(BATCH, ["flip", "noise"], draw()), expected)


def test_only_images_can_be_augmented() -> None:
    tokens = np.zeros((4, 8), np.int64)
    assert augment(tokens, [], draw()) is tokens
    with pytest.raises(DataError, match="remove `augment`"):
        augment(tokens, ["flip"], draw())
