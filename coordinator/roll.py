"""A map that is never changed, of which a changed copy costs little however large it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, ValuesView
from itertools import chain
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")

_BLOCK = 32
"""Near the root of a thousand: a copy shares all blocks but one."""


class Roll(Mapping[K, V]):
    """Keeps the order in which keys came. A new key costs a copy of all keys, a value does not."""

    def __init__(self, entries: Mapping[K, V] | None = None) -> None:
        entries = entries or {}
        self._places = {key: place for place, key in enumerate(entries)}
        values = tuple(entries.values())
        self._blocks = tuple(values[at : at + _BLOCK] for at in range(0, len(values), _BLOCK))

    def having(self, key: K, value: V) -> Roll[K, V]:
        """Returns a roll with this value in the key's place, the last one if it is new."""
        if key not in self._places:
            return Roll({**self, key: value})
        index, offset = divmod(self._places[key], _BLOCK)
        block = self._blocks[index]
        changed = (*block[:offset], value, *block[offset + 1 :])
        after: Roll[K, V] = object.__new__(Roll)
        after._places = self._places
        after._blocks = (*self._blocks[:index], changed, *self._blocks[index + 1 :])
        return after

    def __getitem__(self, key: K) -> V:
        index, offset = divmod(self._places[key], _BLOCK)
        return self._blocks[index][offset]

    def __iter__(self) -> Iterator[K]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def values(self) -> ValuesView[V]:
        return _Values(self)

    def __repr__(self) -> str:
        return f"Roll({dict(self)})"


class _Values(ValuesView[V]):
    """The values, without a search for each."""

    _mapping: Roll[object, V]

    def __iter__(self) -> Iterator[V]:
        return chain.from_iterable(self._mapping._blocks)
