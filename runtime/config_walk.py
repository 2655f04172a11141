"""Builds frozen attrs classes from parsed TOML and notes every fault on the way.

The walk is driven by the classes alone: a field's alias is its TOML key, its type says what may
stand there, its default makes it optional, its validators are its rules. A class may also have
a method `faults()` (see `CrossChecked`) for rules that join several of its fields.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Protocol, Union, cast, get_args, get_origin, get_type_hints
from typing import runtime_checkable as checkable

import attrs
from attrs import define, field, frozen

from runtime.config_rules import Rejected

FOLDER: Mapping[str, str] = {"config": "folder"}
"""Metadata of a field that receives the folder of the file; it has no TOML key."""

_BAD: Any = object()
_MOST = sys.float_info.max
"""Whole numbers beyond it have no float; NaN and infinite ones lie outside as well."""


@frozen
class Fault:
    """Something wrong at `key`, a dotted path; empty means the table itself."""

    key: str
    message: str
    fix: str


@checkable
class CrossChecked(Protocol):
    """A table with rules between its fields; keys are relative to the table."""

    def faults(self) -> Iterable[Fault]:
        """Yields every broken rule."""


def join(parent: str, key: str) -> str:
    """Joins two dotted TOML paths, of which either may be empty."""
    if not parent or not key or key.startswith("["):
        return parent + key
    return f"{parent}.{key}"


@define
class Walk:
    """One pass over one file. `faults` grows in the order of the fields."""

    folder: Path
    faults: list[Fault] = field(factory=list)

    def build(self, cls: type[Any], data: Mapping[str, Any], path: str = "") -> Any:
        """Returns an instance of the attrs class `cls`, or a placeholder when there are faults."""
        before = len(self.faults)
        values = self._fields(cls, data, path)
        self._refuse_unknown(cls, data, path)
        self._check_rules(cls, values, path)
        if len(self.faults) > before:
            return _BAD
        return self._construct(cls, values, path)

    def _fields(self, cls: type[Any], data: Mapping[str, Any], path: str) -> dict[str, Any]:
        """Returns the well-typed values that the file gives, by field name."""
        hints = get_type_hints(cls)
        found: dict[str, Any] = {}
        for one in attrs.fields(cls):
            if _is_folder(one):
                found[one.name] = self.folder
            elif one.alias in data:
                value = self._value(hints[one.name], data[one.alias], join(path, one.alias))
                if value is not _BAD:
                    found[one.name] = value
            elif one.default is attrs.NOTHING:
                wanted = _describe(hints[one.name])
                self._fault(join(path, one.alias), "it is missing", f"add {wanted}")
        return found

    def _refuse_unknown(self, cls: type[Any], data: Mapping[str, Any], path: str) -> None:
        known = [cast(str, one.alias) for one in attrs.fields(cls) if not _is_folder(one)]
        for key in data:
            if key not in known:
                self._fault(join(path, key), "there is no such key", _suggest(key, known))

    def _check_rules(self, cls: type[Any], values: dict[str, Any], path: str) -> None:
        """Runs each validator on its own, since the constructor would stop at the first."""
        partial = types.SimpleNamespace(**values)
        for one in attrs.fields(cls):
            if one.validator is None or one.name not in values:
                continue
            try:
                one.validator(partial, one, values[one.name])
            except AttributeError:
                continue  # a rule that looks at a field which is missing; that one is reported
            except (ValueError, TypeError) as error:
                self._note_error(join(path, cast(str, one.alias)), error)

    def _construct(self, cls: type[Any], values: dict[str, Any], path: str) -> Any:
        aliases = {one.name: cast(str, one.alias) for one in attrs.fields(cls)}
        try:
            built = cls(**{aliases[name]: value for name, value in values.items()})
        except (ValueError, TypeError) as error:
            self._note_error(path, error)
            return _BAD
        if not isinstance(built, CrossChecked):
            return built
        broken = [attrs.evolve(one, key=join(path, one.key)) for one in built.faults()]
        self.faults.extend(broken)
        return _BAD if broken else built

    def _value(self, kind: Any, data: Any, path: str) -> Any:
        """Returns `data` as a value of the type `kind`, or a placeholder after noting a fault."""
        kind = _without_none(kind)
        origin = get_origin(kind)
        if attrs.has(kind) and isinstance(data, dict):
            return self.build(kind, data, path)
        if origin is tuple and isinstance(data, list):
            return self._items(get_args(kind)[0], data, path)
        if origin is Literal and isinstance(data, str):
            return self._choice(get_args(kind), data, path)
        if kind is Path and isinstance(data, str):
            return self.folder / data
        if _fits(origin or kind, data):
            return float(data) if kind is float else data
        return self._fault(path, f"{_shown(data)} does not fit here", f"write {_describe(kind)}")

    def _items(self, kind: Any, data: list[Any], path: str) -> Any:
        items = [self._value(kind, one, f"{path}[{index}]") for index, one in enumerate(data)]
        return _BAD if any(one is _BAD for one in items) else tuple(items)

    def _choice(self, allowed: tuple[str, ...], data: str, path: str) -> Any:
        if data in allowed:
            return data
        return self._fault(path, f"there is no {data!r}", _suggest(data, allowed))

    def _note_error(self, path: str, error: Exception) -> None:
        if isinstance(error, Rejected):
            self._fault(path, error.message, error.fix)
            return
        # attrs puts its sentence first and objects for programs behind it
        text = str(error.args[0]) if error.args else type(error).__name__
        message, _, fix = text.rpartition("; ")
        self._fault(path, message or text, fix if message else "correct the value")

    def _fault(self, path: str, message: str, fix: str) -> Any:
        self.faults.append(Fault(path, message, fix))
        return _BAD


def _is_folder(one: attrs.Attribute[Any]) -> bool:
    return one.metadata.get("config") == FOLDER["config"]


def _suggest(word: str, known: Iterable[str]) -> str:
    names = list(known)
    close = get_close_matches(word, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(names)}"


def _without_none(kind: Any) -> Any:
    if get_origin(kind) not in (Union, types.UnionType):
        return kind
    kinds = [one for one in get_args(kind) if one is not type(None)]
    return kinds[0] if len(kinds) == 1 else kind


def _fits(kind: Any, data: Any) -> bool:
    if isinstance(data, bool):
        return kind is bool
    if kind is float:
        return isinstance(data, int | float) and -_MOST <= data <= _MOST
    if kind in (Mapping, dict):
        return isinstance(data, dict)
    return kind in (int, str) and isinstance(data, kind)


def _shown(data: Any) -> str:
    text = f"the text {data!r}" if isinstance(data, str) else str(data)
    names = {bool: "the truth value", dict: "a table", list: "a list"}
    if type(data) in (dict, list):
        return names[type(data)]
    return f"the truth value {str(data).lower()}" if isinstance(data, bool) else text


_WORDS: Mapping[Any, str] = {
    int: "a whole number",
    float: "a finite number",
    str: "a text in quotes",
    bool: "true or false",
    Path: "a path in quotes",
    Mapping: "a table",
    dict: "a table",
}


def _describe(kind: Any) -> str:
    kind = _without_none(kind)
    origin = get_origin(kind)
    if origin is Literal:
        return "one of " + ", ".join(repr(one) for one in get_args(kind))
    if origin is tuple:
        return f"a list, each item {_describe(get_args(kind)[0])}"
    return "a table" if attrs.has(kind) else _WORDS.get(origin or kind, "another value")
