"""What is wrong with a card: every problem of a file at once, each with its key and its fix."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen


@frozen
class CardProblem:
    """One thing that is wrong in a card."""

    file: str
    key: str
    message: str
    fix: str

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: {self.message}; {self.fix}"


class CardError(Exception):
    """Cards cannot be used. `problems` lists everything that is wrong with them."""

    def __init__(self, problems: Iterable[CardProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class Refused(ValueError):
    """A single value cannot stand where it does; `key` is relative to the table it is in."""

    def __init__(self, message: str, fix: str, key: str = "") -> None:
        self.message = message
        self.fix = fix
        self.key = key
        super().__init__(f"{message}; {fix}")
