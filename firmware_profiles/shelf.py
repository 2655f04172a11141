"""All cards at hand: those of the package, and a user's own in front of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType

from attrs import field, frozen

from firmware_profiles.card import BoardCard
from firmware_profiles.card_file import examine_card, suggest
from firmware_profiles.errors import CardError, CardProblem


def _frozen(cards: Mapping[str, BoardCard]) -> Mapping[str, BoardCard]:
    return MappingProxyType(dict(cards))


@frozen
class Shelf:
    """Cards by id, in the order of the ids."""

    cards: Mapping[str, BoardCard] = field(converter=_frozen)

    def __iter__(self) -> Iterator[BoardCard]:
        return iter(self.cards.values())

    def card(self, board_id: str) -> BoardCard:
        """Returns the card of that id. Raises CardError with near names if there is none."""
        if board_id in self.cards:
            return self.cards[board_id]
        fix = suggest(board_id, self.cards)
        raise CardError([CardProblem("boards", board_id, "there is no such board", fix)])


def load_shelf(folder: Path | None = None) -> Shelf:
    """Loads the cards of the package, each replaced by the one of the same id in `folder`.

    Raises CardError with every problem of every card, and for a folder without cards.
    """
    own = [] if folder is None else _own_files(folder)
    named = {file.name: file for file in [*_card_files(files(__package__) / "boards"), *own]}
    cards: dict[str, BoardCard] = {}
    problems: list[CardProblem] = []
    for name in sorted(named):
        card, found = examine_card(named[name])
        problems.extend(found)
        if card is not None:
            cards[card.id] = card
    if problems:
        raise CardError(problems)
    return Shelf(cards)


def _own_files(folder: Path) -> list[Traversable]:
    found = _card_files(folder) if folder.is_dir() else []
    if not found:
        fix = "name a folder with files like my-board.toml"
        raise CardError([CardProblem(str(folder), "(folder)", "it holds no cards", fix)])
    return found


def _card_files(folder: Traversable) -> list[Traversable]:
    return [file for file in folder.iterdir() if file.name.endswith(".toml")]
