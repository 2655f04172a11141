"""Reads cards from TOML. cattrs builds the classes; what it meets becomes problems with fixes."""

from __future__ import annotations

import datetime
import math
import sys
import tomllib
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from importlib.resources.abc import Traversable
from pathlib import PurePath
from typing import Any, Literal, Union, get_args, get_origin

import attrs
from cattrs import BaseValidationError, Converter, ForbiddenExtraKeysError
from cattrs.errors import AttributeValidationNote, IterableValidationNote
from cattrs.gen import make_dict_structure_fn, override

from firmware_profiles.card import BoardCard
from firmware_profiles.errors import CardError, CardProblem, Refused
from firmware_profiles.figure import Figure, unit_of

_WORDS: Mapping[Any, str] = {
    int: "a whole number",
    float: "a finite number",
    str: "a text in quotes",
    bool: "true or false",
    datetime.date: "a date, 2026-11-21 for instance (without quotes)",
    Figure: "a table { value, unit, how, source, date, kind }",
}


def read_card(file: Traversable) -> BoardCard:
    """Reads one card, whose file is named after its id.

    Raises CardError with every problem of the file.
    """
    card, problems = examine_card(file)
    if card is None:
        raise CardError(problems)
    return card


def examine_card(file: Traversable) -> tuple[BoardCard | None, tuple[CardProblem, ...]]:
    """Reads one card; returns it, or None and every problem of the file."""
    try:
        data = tomllib.loads(file.read_bytes().decode())
    except (OSError, ValueError, RecursionError) as error:  # the last: nested too deep
        fix = "check the path" if isinstance(error, OSError) else "correct the line"
        reason = getattr(error, "strerror", None) or str(error)
        return None, (CardProblem(str(file), "(file)", f"it cannot be read: {reason}", fix),)
    try:
        card = _CONVERTER.structure(data, BoardCard)
        _check_name(card, PurePath(file.name).stem)
    except (BaseValidationError, Refused) as error:
        return None, tuple(_problems(str(file), "", error))
    return card, ()


def _check_name(card: BoardCard, stem: str) -> None:
    if card.id != stem:
        fix = f"call the file {card.id}.toml or write id = {stem!r}"
        raise Refused(f"the file is called {stem}.toml", fix, "id")


def suggest(word: str, known: Iterable[str]) -> str:
    """Returns the sentence that leads from a wrong word to the right ones."""
    names = list(known)
    close = get_close_matches(word, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(names)}"


def _class_hook(cls: Any) -> Callable[[Any, Any], Any]:
    """Gives every field a hook of its own, so that one broken rule does not hide the next."""
    attrs.resolve_types(cls)
    hooks: dict[str, Any] = {
        one.name: override(struct_hook=_field_hook(one)) for one in attrs.fields(cls)
    }
    build = make_dict_structure_fn(cls, _CONVERTER, _cattrs_forbid_extra_keys=True, **hooks)

    def hook(data: Any, kind: Any) -> Any:
        return build(_typed(data, dict, kind), kind)

    return hook


def _field_hook(one: attrs.Attribute[Any]) -> Callable[[Any, Any], Any]:
    def hook(data: Any, kind: Any) -> Any:
        kind = _without_none(kind)
        if get_origin(kind) is tuple:
            _typed(data, list, kind)
        value = _CONVERTER.structure(data, kind)
        _check_units(one.name, value)
        if one.validator is not None:
            one.validator(None, one, value)
        return value

    return hook


def _check_units(name: str, value: Any) -> None:
    """Refuses the figures that are in another unit than their field is named for."""
    unit = unit_of(name)
    wrong = [
        Refused(f"{one.unit!r} is not the unit of {name}", f"write {unit!r}", f"{step}unit")
        for step, one in _figures(value)
        if one.unit != unit
    ]
    if wrong:
        raise BaseValidationError(name, wrong, Figure)


def _figures(value: Any) -> list[tuple[str, Figure]]:
    """Returns a figure, or each of a list of them, with the step that leads to it."""
    items = value if isinstance(value, tuple) else ()
    found = [(f"[{index}].", one) for index, one in enumerate(items)] or [("", value)]
    return [(step, one) for step, one in found if isinstance(one, Figure)]


def _scalar(data: Any, kind: Any) -> Any:
    if kind is float and type(data) is int and abs(data) <= sys.float_info.max:
        return float(data)
    return _typed(data, kind, kind)


def _typed(data: Any, wanted: Any, kind: Any) -> Any:
    """Returns `data` if it is exactly a `wanted`; a bool is no int, a date-time no date."""
    if type(data) is wanted and (wanted is not float or math.isfinite(data)):
        return data
    raise Refused(f"{_shown(data)} does not fit here", f"write {_describe(kind)}")


def _choice(data: Any, kind: Any) -> Any:
    _typed(data, str, str)
    if data not in get_args(kind):
        raise Refused(f"there is no {data!r}", suggest(data, get_args(kind)))
    return data


def _is_literal(kind: Any) -> bool:
    return get_origin(kind) is Literal


def _converter() -> Converter:
    converter = Converter(detailed_validation=True)
    for kind in (int, float, str, bool, datetime.date):
        converter.register_structure_hook(kind, _scalar)
    converter.register_structure_hook_func(_is_literal, _choice)
    converter.register_structure_hook_factory(attrs.has, _class_hook)
    return converter


_CONVERTER = _converter()


def _problems(file: str, path: str, error: BaseException) -> Iterator[CardProblem]:
    """Yields what is wrong, found at `path`, a dotted key that is empty for the whole file."""
    match error:
        case BaseValidationError():
            for one in error.exceptions:
                yield from _problems(file, _join(path, _step(one)), one)
        case ForbiddenExtraKeysError():
            known = [one.name for one in attrs.fields(error.cl)]
            for key in sorted(error.extra_fields):
                message = "there is no such key"
                yield CardProblem(file, _join(path, key), message, suggest(key, known))
        case Refused():
            yield CardProblem(file, _join(path, error.key) or "(file)", error.message, error.fix)
        case KeyError():
            yield CardProblem(file, path, "it is missing", f"add {_describe(_wanted(error))}")
        case _:
            raise error


def _notes(error: BaseException) -> list[AttributeValidationNote | IterableValidationNote]:
    kinds = (AttributeValidationNote, IterableValidationNote)
    return [one for one in getattr(error, "__notes__", ()) if isinstance(one, kinds)]


def _step(error: BaseException) -> str:
    """Returns the part of the key that leads from a table or list to what is wrong in it."""
    for note in _notes(error):
        return note.name if isinstance(note, AttributeValidationNote) else f"[{note.index}]"
    return ""


def _wanted(error: KeyError) -> Any:
    return next((note.type for note in _notes(error)), None)


def _join(path: str, step: str) -> str:
    return f"{path}.{step}" if path and step and not step.startswith("[") else path + step


def _without_none(kind: Any) -> Any:
    if get_origin(kind) not in (Union, types.UnionType):
        return kind
    kinds = [one for one in get_args(kind) if one is not type(None)]
    # Of `Literal[...] | None` and the like exactly one kind is left.
    return kinds[0]


def _shown(data: Any) -> str:
    match data:
        case bool():
            return f"the truth value {str(data).lower()}"
        case dict():
            return "a table"
        case list():
            return "a list"
        case str():
            return f"the text {data!r}"
    return str(data)


def _describe(kind: Any) -> str:
    kind = _without_none(kind)
    if _is_literal(kind):
        return "one of " + ", ".join(map(repr, get_args(kind)))
    if get_origin(kind) is tuple:
        return f"a list, each item {_describe(get_args(kind)[0])}"
    return _WORDS.get(kind, "a table")
