"""What a run must have learnt, reckoned from its record alone: plans, and who was dropped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from coordinator.plan import Assignment, Plan
from runtime.chain import link
from runtime.ids import DeviceId
from runtime.order import samples
from runtime.recipe import Recipe

_FIRST = b"\0" * 32


@frozen
class Expected:
    """The chain and the data positions after a round."""

    chain: bytes
    positions: Mapping[DeviceId, int]


def expected(
    recipe: Recipe,
    held: Mapping[DeviceId, int],
    plans: Mapping[int, Plan],
    rounds: list[dict[str, Any]],
) -> Expected:
    """Returns what is to be after the rounds on record, each device's part done once in each."""
    chain, positions = _FIRST, dict.fromkeys(held, 0)
    for entry in rounds:
        parts: list[bytes] = []
        for one in plans[entry["round"]].assignments:
            if one.device in entry["devices"]:
                parts += _part(recipe, held[one.device], one, chain, positions[one.device])
                positions[one.device] += one.batch * recipe.local_steps
        chain = link(chain, *parts)
    return Expected(chain, positions)


def _part(recipe: Recipe, held: int, one: Assignment, chain: bytes, position: int) -> list[bytes]:
    """Returns what a device's part of a round adds to the chain of all."""
    device, replica = chain, b"" if one.is_whole_model else chain
    for step in range(recipe.local_steps):
        start = position + step * one.batch
        chosen = samples(recipe.seed, one.device, held, start, one.batch)
        device = link(device, chosen.tobytes())
        if not one.is_whole_model:
            replica = link(replica, device)
            device = link(device, replica)
    count = one.batch * recipe.local_steps
    return [one.device.encode(), replica, device, count.to_bytes(8, "big")]
