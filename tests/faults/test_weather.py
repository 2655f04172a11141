"""Lost, repeated and reordered messages never change what was learnt."""

from __future__ import annotations

import pytest

from runtime.transport.memory import Weather
from tests.world import NullWorld

STORM = Weather(drop=0.1, duplicate=0.1, delay_s=(0.001, 0.2))
SEEDS = range(200)


def chain_after(devices: int, rounds: int, weather: Weather | None, seed: int) -> bytes:
    world = NullWorld(devices, rounds, local_steps=2, weather=weather, seed=seed)
    world.start_all()
    world.run()
    return world.chain


@pytest.fixture(scope="module")
def calm() -> bytes:
    return chain_after(3, 3, None, seed=0)


@pytest.mark.parametrize("block", range(8))
def test_a_storm_changes_nothing(calm: bytes, block: int) -> None:
    for seed in SEEDS[block::8]:
        assert chain_after(3, 3, STORM, seed) == calm, f"seed {seed}"


def test_eight_agents_two_hundred_rounds() -> None:
    assert chain_after(8, 200, STORM, seed=1) == chain_after(8, 200, None, seed=0)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_eight_agents_two_hundred_rounds_in_every_storm() -> None:
    expected = chain_after(8, 200, None, seed=0)
    for seed in SEEDS:
        assert chain_after(8, 200, STORM, seed) == expected, f"seed {seed}"


def test_the_chain_tells_runs_apart() -> None:
    """The proof that the tests above can fail: one round more or less is another chain."""
    assert chain_after(3, 2, None, seed=0) != chain_after(3, 3, None, seed=0)
