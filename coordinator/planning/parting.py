"""Which device's options to part in two when prices alone do not decide."""

from __future__ import annotations

import numpy as np

from coordinator.planning.demand import StaticShares
from coordinator.planning.search import Found
from coordinator.planning.tables import Mask, Tables


def part(tables: Tables, mask: Mask, found: Found) -> tuple[Mask, ...]:
    """Returns two halves of the options under `mask`; one device's options are parted.

    It is the device whose answers differ most around the best prices that `found` tells, and
    its options are parted between those two answers. Returns nothing where every device has
    one option.
    """
    if mask.sum(axis=1).max() == 1:
        return ()
    shares = StaticShares(tables).shares(found.prices, found.bound_s)
    shares[~np.isfinite(shares)] = 2.0
    rows = np.arange(len(mask))
    answers = np.array([answer.choice for answer in found.recent])
    asked, alive = shares[rows, answers], mask[rows, answers][:, :, None]
    most, least = np.where(alive, asked, -np.inf), np.where(alive, asked, np.inf)
    spread = most.max(axis=0) - least.min(axis=0)
    device, scarce = np.unravel_index(spread.argmax(), spread.shape)
    if spread[device, scarce] > 0:
        one = answers[most[:, device, scarce].argmax(), device]
        other = answers[least[:, device, scarce].argmin(), device]
    else:
        device = mask.sum(axis=1).argmax()
        one, other = np.flatnonzero(mask[device])[:2]
    score = shares[device] @ (shares[device, one] - shares[device, other])
    near_one = score > (score[one] + score[other]) / 2
    near_one[one], near_one[other] = True, False
    return _only(mask, int(device), near_one), _only(mask, int(device), ~near_one)


def _only(mask: Mask, device: int, side: Mask) -> Mask:
    half = mask.copy()
    half[device] &= side
    return half
