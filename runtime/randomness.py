"""Randomness without state: every draw is a function of where in the run it happens.

A generator is keyed by (purpose, seed, round, step, micro-batch, device) and by nothing else, so
a repeated attempt, a resumed process and the coordinator's replay see the same masks and noise.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_WORD_VALUES = 2**16


def generator(
    purpose: str, *, seed: int, round: int, step: int, micro_batch: int, device: str
) -> np.random.Generator:
    """Returns a fresh Philox generator for one purpose at one place of the run.

    `purpose` keeps draws apart that share a place, for example `dropout:features.3` and `noise`.
    Construction takes some 25 microseconds: make one per tensor, not one per element.
    """
    place = [purpose, device, int(seed), int(round), int(step), int(micro_batch)]
    text = json.dumps(place).encode()
    digest = hashlib.blake2b(text, digest_size=16, person=b"edgesplit").digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


def words(gen: np.random.Generator, count: int) -> NDArray[np.uint16]:
    """Draws `count` uniform 16-bit words.

    They come straight from Philox, whose stream numpy promises to keep: a board and a coordinator
    with different numpy versions agree, which the methods of Generator do not promise.
    """
    raw = gen.bit_generator.random_raw(math.ceil(count / 4))
    return raw.astype("<u8", copy=False).view("<u2")[:count]


def dropout_mask(gen: np.random.Generator, shape: Sequence[int], drop: float) -> NDArray[np.bool_]:
    """Draws a keep-mask: True with probability `1 - drop`, to 2**-17.

    The module multiplies by mask / (1 - drop). Raises ValueError unless 0 <= drop <= 1.
    """
    if not 0.0 <= drop <= 1.0:
        raise ValueError(f"drop must lie in 0..1, not {drop}")
    draws = words(gen, math.prod(shape)).reshape(tuple(shape))
    return np.asarray(draws >= round(drop * _WORD_VALUES))
