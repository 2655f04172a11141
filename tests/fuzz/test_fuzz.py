"""A share of `make fuzz`: every decoder, a few hundred inputs each, the same every time."""

from __future__ import annotations

import random

import attrs
import pytest

from runtime import wire
from runtime.errors import WireError
from runtime.frames import Offer
from tests.fuzz.campaign import fuzz
from tests.fuzz.mutator import Mutator
from tests.fuzz.targets import Target, all_targets


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> list[Target]:
    return all_targets(tmp_path_factory.mktemp("files"))


def test_nothing_but_what_is_declared_comes_out(targets: list[Target]) -> None:
    tallies = [fuzz(target, 40 * target.weight, seed=1) for target in targets]
    assert [escape for tally in tallies for escape in tally.escapes] == []
    # Inputs that are all refused at the first byte would prove nothing.
    assert all(tally.accepted > 0 for tally in tallies)
    picky = [one for one, target in zip(tallies, targets, strict=True) if target.declared]
    assert all(tally.accepted < tally.inputs for tally in picky)


def test_a_planted_defect_is_found(targets: list[Target]) -> None:
    def careless(data: bytes) -> object:
        offer = wire.decode(Offer, data).value
        return 1 // (offer.size + 1)

    (offers,) = [target for target in targets if target.name == "Offer"]
    tally = fuzz(attrs.evolve(offers, decode=careless), 10_000, seed=1)
    assert any("ZeroDivisionError" in escape for escape in tally.escapes)


def test_a_planted_waste_of_memory_is_found() -> None:
    waste = Target("waste", "bytes", (b"x",), lambda data: bytes(64_000_000), WireError)
    assert fuzz(waste, 1, seed=1).escapes


def test_the_same_seed_gives_the_same_inputs(targets: list[Target]) -> None:
    for target in targets:
        first, second = (Mutator(random.Random(7)) for _ in range(2))
        assert [first.mutate(target.corpus, target.form) for _ in range(20)] == [
            second.mutate(target.corpus, target.form) for _ in range(20)
        ]
