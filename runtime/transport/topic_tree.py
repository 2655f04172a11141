"""Topics and filters by level, so that a message finds its takers among thousands at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from attrs import define, field

T = TypeVar("T")


@define(eq=False)
class TopicTree(Generic[T]):
    """Keeps values under paths: filters to be found by topic, or topics to be found by filter."""

    values: list[T] = field(factory=list)
    children: dict[str, TopicTree[T]] = field(factory=dict)

    def at(self, path: str) -> list[T]:
        """Returns the values kept under `path`; the list may be changed."""
        node = self
        for level in path.split("/"):
            node = node.children.setdefault(level, TopicTree())
        return node.values

    def filters_matching(self, topic: str) -> Iterator[T]:
        """Returns the values of all filters (with `+` and `#`) that match a topic."""
        return self._filters(topic.split("/"))

    def topics_matching(self, filter: str) -> Iterator[T]:
        """Returns the values of all topics that a filter matches."""
        return self._topics(filter.split("/"))

    def _filters(self, levels: list[str]) -> Iterator[T]:
        if "#" in self.children:
            yield from self.children["#"].values
        if not levels:
            yield from self.values
            return
        for level in (levels[0], "+"):
            if level in self.children:
                yield from self.children[level]._filters(levels[1:])

    def _topics(self, levels: list[str]) -> Iterator[T]:
        if not levels or levels[0] == "#":
            yield from self.values
        if not levels:
            return
        head, rest = levels[0], levels if levels[0] == "#" else levels[1:]
        if head in ("+", "#"):
            for child in self.children.values():
                yield from child._topics(rest)
        elif head in self.children:
            yield from self.children[head]._topics(rest)
