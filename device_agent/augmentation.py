"""Light augmentation of image batches, as pure functions of a random generator.

The generator comes from `runtime.randomness`, keyed by seed, round, step, micro-batch and device,
so that a repeated attempt sees the same images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.dataset import Augmentation
from runtime.errors import DataError

Images = npt.NDArray[np.float32]
"""[n, channels, height, width], values within [0, 1]."""

SHIFT_PIXELS = 2
NOISE_DEVIATION = 0.02


def flip(images: Images, random: np.random.Generator) -> Images:
    """Mirrors each image left to right with probability one half."""
    mirrored = random.random(len(images)) < 0.5
    return np.where(mirrored[:, None, None, None], images[..., ::-1], images)


def shift(images: Images, random: np.random.Generator) -> Images:
    """Moves each image by up to two pixels along both axes; zeros fill what is uncovered."""
    height, width = images.shape[2:]
    corners = random.integers(0, 2 * SHIFT_PIXELS, (len(images), 2), endpoint=True)
    margin = (SHIFT_PIXELS, SHIFT_PIXELS)
    padded = np.pad(images, ((0, 0), (0, 0), margin, margin))
    windows = [
        image[:, top : top + height, left : left + width]
        for image, (top, left) in zip(padded, corners, strict=True)
    ]
    return np.stack(windows)


def noise(images: Images, random: np.random.Generator) -> Images:
    """Adds normal noise of deviation 0.02 to every pixel."""
    return images + NOISE_DEVIATION * random.standard_normal(images.shape, np.float32)


AUGMENTATIONS: Mapping[Augmentation, Callable[[Images, np.random.Generator], Images]] = {
    "flip": flip,
    "shift": shift,
    "noise": noise,
}


def augment(
    inputs: npt.NDArray[Any], names: Sequence[Augmentation], random: np.random.Generator
) -> npt.NDArray[Any]:
    """Returns the batch after each of `names` in turn; `inputs` is left as it was.

    Raises DataError if there is something to do and the batch holds no images.
    """
    if names and (inputs.ndim != 4 or inputs.dtype != np.float32):
        raise DataError(
            f"augmentation takes float32 images [n, channels, height, width], not "
            f"{inputs.dtype} {list(inputs.shape)}; remove `augment`"
        )
    for name in names:
        inputs = AUGMENTATIONS[name](inputs, random)
    return inputs
