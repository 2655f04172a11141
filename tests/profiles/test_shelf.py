"""A user's folder in front of the cards that ship."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware_profiles.errors import CardError
from firmware_profiles.shelf import load_shelf
from tests.profiles.cards import MINIMAL, write_card


def test_a_card_of_the_user_goes_first_and_new_ones_are_added(tmp_path: Path) -> None:
    write_card(tmp_path, MINIMAL)
    write_card(tmp_path, MINIMAL.replace('"mine"', '"rpi-4b"'), name="rpi-4b")
    (tmp_path / "notes.txt").write_text("no card")
    shelf, shipped = load_shelf(tmp_path), load_shelf()
    assert set(shelf.cards) == {*shipped.cards, "mine"}
    assert [card.id for card in shelf] == sorted(shelf.cards)
    assert shelf.card("rpi-4b").name == "My board"
    assert shelf.card("rpi-5") == shipped.card("rpi-5")


def test_the_problems_of_all_cards_are_told_at_once(tmp_path: Path) -> None:
    first = write_card(tmp_path, MINIMAL.replace("count = 4", ""))
    second = write_card(tmp_path, MINIMAL.replace('"mine"', '"ours"') + "x = 1", name="ours")
    with pytest.raises(CardError) as caught:
        load_shelf(tmp_path)
    assert [(problem.file, problem.key) for problem in caught.value.problems] == [
        (str(first), "cpu.clusters[0].count"),
        (str(second), "cpu.clusters[0].x"),
    ]


def test_a_wrong_name_leads_to_the_right_one() -> None:
    with pytest.raises(CardError, match="rpi4: there is no such board; did you mean 'rpi-4b'"):
        load_shelf().card("rpi4")


@pytest.mark.parametrize("name", ["empty", "missing", "file.toml"])
def test_a_folder_without_cards_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.toml").write_text(MINIMAL)
    with pytest.raises(CardError, match="it holds no cards"):
        load_shelf(tmp_path / name)
