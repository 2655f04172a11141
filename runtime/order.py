"""In which order a device sees its samples: a function of seed, device and position.

Sample j of device d is perm(seed, d, j div n)[j mod n]. Nothing is stored but the position.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from runtime.randomness import generator

Indices = NDArray[np.int64]


def samples(seed: int, device: str, n: int, start: int, count: int) -> Indices:
    """Returns the indices of samples start .. start + count - 1 out of a data set of `n`.

    Runs over the end of a permutation into the next. Raises ValueError for an empty data set or a
    negative position.
    """
    if n < 1 or start < 0 or count < 0:
        raise ValueError(f"no samples {start}..{start + count} of a data set of {n}")
    epochs = range(start // n, (start + count - 1) // n + 1)
    runs = [_run(seed, device, n, epoch, start, start + count) for epoch in epochs]
    return np.concatenate([np.empty(0, np.int64), *runs])


def _run(seed: int, device: str, n: int, epoch: int, start: int, stop: int) -> Indices:
    first = epoch * n
    return _permutation(seed, device, n, epoch)[max(start - first, 0) : stop - first]


# Two, because a batch may run over the end of one permutation into the next.
@lru_cache(maxsize=2)
def _permutation(seed: int, device: str, n: int, epoch: int) -> Indices:
    """Sorts random keys: unlike Generator.permutation this is the same for every numpy version."""
    gen = generator("order", seed=seed, round=epoch, step=0, micro_batch=0, device=device)
    keys = gen.bit_generator.random_raw(n)
    return np.argsort(keys, kind="stable").astype(np.int64, copy=False)
