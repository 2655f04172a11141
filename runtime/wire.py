"""Bytes to attrs classes and back: msgpack for traffic, JSON for presence.

Unknown keys are ignored and counted (the other side may be newer); a missing key, a wrong type
or a value that a validator refuses is a `WireError`. No other exception leaves a decoder.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from typing import Any, Generic, NamedTuple, TypeVar, get_args, get_origin

import attrs
import msgpack
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn

from runtime.errors import WireError, in_short
from runtime.frame_forms import FORMS
from runtime.tensors import PackedTensor, all_from_wire, from_wire, to_wire

T = TypeVar("T")
_MOST_VALUES = 2**18
"""In one message. The layer state of a model with 10,000 tensors has some 100,000."""


class Decoded(NamedTuple, Generic[T]):
    """A value, and how many keys of its outermost map this version does not know."""

    value: T
    unknown_keys: int


def encode(value: Any) -> bytes:
    """Returns the msgpack bytes of an attrs instance."""
    cls = type(value)
    as_map = _maps[cls] if cls in _maps else _map(cls)
    packed: bytes = msgpack.packb(as_map(value))
    return packed


def decode(cls: type[T], data: bytes) -> Decoded[T]:
    """Returns the instance of `cls` that `encode` wrote, or raises WireError.

    Takes little more memory than `data` has bytes: a map of one byte costs Python 64, so the
    number of values is bounded, whatever they nest in.
    """
    return _structured(cls, data, _unpack)


def encode_json(value: Any) -> bytes:
    """Returns the JSON text of an attrs instance, keys in order of declaration."""
    return json.dumps(_converter.unstructure(value)).encode()


def decode_json(cls: type[T], data: bytes) -> Decoded[T]:
    """Returns the instance of `cls` that `encode_json` wrote, or raises WireError."""
    return _structured(cls, data, json.loads)


def from_builtin(cls: type[T], raw: Any) -> T:
    """Returns an instance of `cls` from the maps and lists that a record holds, or WireError."""
    return _structured(cls, raw, lambda raw: raw).value


def _unpack(data: bytes) -> Any:
    if len(data) <= _MOST_VALUES:
        # Every value takes a byte at least, so that nobody has to count them.
        return msgpack.unpackb(data, raw=False, strict_map_key=True, max_ext_len=0)
    seen = 0

    def count(values: Any) -> Any:
        nonlocal seen
        seen += 1 + len(values)
        if seen > _MOST_VALUES:
            raise WireError(f"more than {_MOST_VALUES} values in one message")
        return values

    return msgpack.unpackb(
        data,
        raw=False,
        strict_map_key=True,
        list_hook=count,
        object_hook=count,
        max_array_len=_MOST_VALUES,
        max_map_len=_MOST_VALUES,
        max_ext_len=0,
    )


def _structured(cls: type[T], data: Any, parse: Callable[[Any], Any]) -> Decoded[T]:
    # Hostile bytes may break any layer below (msgpack, json, cattrs, a validator), each with
    # exceptions of its own; this is the one place where all of them mean the same thing.
    try:
        raw = parse(data)
        if not isinstance(raw, dict):
            raise WireError(f"a {cls.__name__} is a map, not {type(raw).__name__}")
        structure, keys = _shapes[cls] if cls in _shapes else _shape(cls)
        unknown_keys = 0 if keys.issuperset(raw) else len(raw.keys() - keys)
        return Decoded(structure(raw, cls), unknown_keys)
    except WireError:
        raise
    except Exception as error:
        size = f"{len(data)} bytes" if isinstance(data, bytes) else "these values"
        raise WireError(f"{size} are no {cls.__name__}: {in_short(error)}") from error


_maps: dict[type, Callable[[Any], Any]] = {}


def _map(cls: type) -> Callable[[Any], Any]:
    """Returns what makes maps out of instances of a class."""
    return _maps.setdefault(cls, _converter.get_unstructure_hook(cls))


_Shape = tuple[Callable[[Any, Any], Any], frozenset[str]]
_shapes: dict[type, _Shape] = {}


def _shape(cls: type) -> _Shape:
    """Returns what makes instances of a class out of maps, and the keys of those maps."""
    keys = frozenset(field.name for field in attrs.fields(cls))
    return _shapes.setdefault(cls, (_converter.get_structure_hook(cls), keys))


def _exactly(*kinds: type) -> Callable[[Any, Any], Any]:
    def hook(value: Any, _: Any) -> Any:
        if type(value) not in kinds:
            raise WireError(f"{type(value).__name__} where {kinds[0].__name__} belongs")
        return value

    return hook


def _is_tensors(kind: Any) -> bool:
    return kind == dict[str, PackedTensor]  # type: ignore[no-any-return]


def _is_sequence(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _of_a_list(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    """Lists alone become tuples: cattrs would take texts, bytes and maps apart as well."""
    first, *rest = get_args(kind)
    items = None if rest == [...] else (first, *rest)
    structures = [converter.get_structure_hook(one) for one in items or (first,)]

    def hook(value: Any, _: Any) -> Any:
        if type(value) not in (list, tuple) or (items and len(value) != len(items)):
            raise WireError(f"{type(value).__name__} where a list of {kind} belongs")
        if items is None:
            return tuple([structures[0](one, first) for one in value])
        return tuple(map(_apply, structures, value, items))

    return hook


def _apply(structure: Callable[[Any, Any], Any], value: Any, kind: Any) -> Any:
    return structure(value, kind)


def _of_a_map(cls: type, converter: Converter) -> Callable[[Any, Any], Any]:
    """Maps alone become instances: a class of defaults would come out of anything."""
    structure: Callable[[Any, Any], Any] = make_dict_structure_fn(
        cls, converter, _cattrs_detailed_validation=False
    )

    def hook(value: Any, _: Any) -> Any:
        if type(value) is not dict:
            raise WireError(f"{type(value).__name__} where a map for {cls.__name__} belongs")
        return structure(value, cls)

    return hook


def _is_of_integers(kind: Any) -> bool:
    if not attrs.has(kind):
        return False
    fields = attrs.fields(attrs.resolve_types(kind))
    return len(fields) > 1 and all(
        field.type is int and field.default is attrs.NOTHING for field in fields
    )


def _of_integers(cls: type) -> Callable[[Any, Any], Any]:
    """Equal ones are one instance: all letters of a round tell the same attempt."""
    pick = itemgetter(*[field.name for field in attrs.fields(cls)])
    same = lru_cache(maxsize=256)(cls)

    def hook(value: Any, _: Any) -> Any:
        if type(value) is not dict:
            raise WireError(f"{type(value).__name__} where a map for {cls.__name__} belongs")
        integers = pick(value)
        for one in integers:
            # Not left to the cache, to which True is 1.
            if type(one) is not int:
                raise WireError(f"{type(one).__name__} where int belongs")
        return same(*integers)

    return hook


def _derived() -> Converter:
    """All that follows from the classes: strict, and slow."""
    converter = Converter(detailed_validation=False, unstruct_collection_overrides={tuple: list})
    for kind in (int, str, bytes, bool):
        converter.register_structure_hook(kind, _exactly(kind))
    converter.register_structure_hook(float, _exactly(float, int))
    converter.register_structure_hook_factory(attrs.has, lambda t: _of_a_map(t, converter))
    converter.register_structure_hook_factory(_is_sequence, lambda t: _of_a_list(t, converter))
    converter.register_structure_hook(PackedTensor, from_wire)
    converter.register_unstructure_hook(PackedTensor, to_wire)
    converter.register_unstructure_hook(bytes, lambda value: value)
    return converter


def _with_forms(converter: Converter) -> Converter:
    """Writes out what comes with every step: as strict as what it takes the place of."""
    converter.register_structure_hook_factory(_is_of_integers, _of_integers)
    converter.register_structure_hook_func(_is_tensors, all_from_wire)
    for frame, (read, write) in FORMS.items():
        converter.register_structure_hook(frame, read)
        converter.register_unstructure_hook(frame, write)
    return converter


_converter = _with_forms(_derived())
