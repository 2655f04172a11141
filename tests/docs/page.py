"""Reads the documentation as a program may: fenced blocks with the line that announces them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"`([\w-]+\.\w+)`:$")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@frozen
class Block:
    """A fenced block. `announced` is the paragraph's last line above it."""

    language: str
    text: str
    announced: str

    @property
    def file(self) -> str | None:
        """The name of the file that the block shows, as in "`job.toml`:"."""
        found = _FILE.search(self.announced)
        return found.group(1) if found else None

    @property
    def has_own_terminal(self) -> bool:
        return "terminal of its own" in self.announced


def blocks(page: Path) -> Iterator[Block]:
    """Yields the fenced blocks of a page, from top to bottom."""
    text = page.read_text()
    for fence in _FENCE.finditer(text):
        above = text[: fence.start()].rstrip().splitlines()
        yield Block(fence.group(1), fence.group(2), above[-1] if above else "")


def prose(page: Path) -> str:
    """Returns the page without its fenced blocks."""
    return _FENCE.sub("", page.read_text())


def links(page: Path) -> list[str]:
    """Returns the targets of all links in the prose."""
    return _LINK.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """Returns the anchors that GitHub gives to the headings."""
    headings = (heading.lower() for heading in _HEADING.findall(prose(page)))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def section(page: Path, heading: str) -> str:
    """Returns what stands between a heading and the next one, without fenced blocks."""
    _, found, rest = prose(page).partition(f"# {heading}\n")
    assert found, f"{page.name} has no section {heading!r}"
    return re.split(r"^#", rest, maxsplit=1, flags=re.MULTILINE)[0]


def table(text: str) -> list[list[str]]:
    """Returns the cells of the first table, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]
