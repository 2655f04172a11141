"""A map that is never changed, of which a changed copy costs little however large it is."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from itertools import chain
from typing import Any, TypeVar, overload

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")

_BLOCK = 32
"""Near the root of a thousand: a copy shares all blocks but one."""


class Roll(Mapping[K, V]):
    """Keeps the order in which keys came. A new key costs a copy of all keys, a value does not."""

    def __init__(self, entries: Mapping[K, V] | None = None) -> None:
        entries = entries or {}
        self._places = {key: place for place, key in enumerate(entries)}
        values = list(entries.values())
        # Lists, since a changed copy of one takes a third of what that of a tuple does.
        self._blocks = [values[at : at + _BLOCK] for at in range(0, len(values), _BLOCK)]

    def having(self, key: K, value: V) -> Roll[K, V]:
        """Returns a roll with this value in the key's place, the last one if it is new."""
        place = self._places.get(key)
        if place is None:
            return Roll({**self, key: value})
        after: Roll[K, V] = object.__new__(Roll)
        after._places, after._blocks = self._places, self._blocks.copy()
        block = after._blocks[place // _BLOCK] = after._blocks[place // _BLOCK].copy()
        block[place % _BLOCK] = value
        return after

    def __getitem__(self, key: K) -> V:
        place = self._places[key]
        return self._blocks[place // _BLOCK][place % _BLOCK]

    @overload
    def get(self, key: K, /) -> V | None: ...

    @overload
    def get(self, key: K, /, default: V | D) -> V | D: ...

    def get(self, key: K, /, default: Any = None) -> Any:
        """Does what that of any map does, at half its price."""
        place = self._places.get(key)
        return default if place is None else self._blocks[place // _BLOCK][place % _BLOCK]

    def __iter__(self) -> Iterator[K]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def items(self) -> ItemsView[K, V]:
        return _Items(self)

    def values(self) -> ValuesView[V]:
        return _Values(self)

    def __repr__(self) -> str:
        return f"Roll({dict(self)})"


class _Items(ItemsView[K, V]):
    """The entries, without a search for each."""

    _mapping: Roll[K, V]

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return zip(self._mapping, self._mapping.values(), strict=True)


class _Values(ValuesView[V]):
    """The values, without a search for each."""

    _mapping: Roll[object, V]

    def __iter__(self) -> Iterator[V]:
        return chain.from_iterable(self._mapping._blocks)
