"""Configuration files: TOML into frozen attrs classes, every problem reported at once.

Unknown keys are refused: in a file that a person wrote they are typing errors, whereas in a
message from the network they are additions of a newer version.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Generic, TypeVar

from attrs import frozen

from runtime.config_walk import Fault, Walk
from runtime.errors import ConfigError, Problem

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")

_POSITION = re.compile(r" \(at (line \d+, column \d+|end of document)\)$")


@frozen
class Examined(Generic[T]):
    """A file that was read: either its value or its problems."""

    value: T | None
    problems: tuple[Problem, ...]


def load(path: Path, cls: type[T]) -> T:
    """Reads the TOML file at `path` into the attrs class `cls`.

    Raises ConfigError with every problem of the file.
    """
    return _settled(examine(path, cls))


def load_pair(first: tuple[Path, type[A]], second: tuple[Path, type[B]]) -> tuple[A, B]:
    """Reads two files that belong together; ConfigError carries the problems of both."""
    one, two = examine(*first), examine(*second)
    refuse(one.problems + two.problems)
    return _settled(one), _settled(two)


def examine(path: Path, cls: type[T]) -> Examined[T]:
    """Reads the file and returns its problems instead of raising them."""
    try:
        data = tomllib.loads(path.read_bytes().decode())
    except (OSError, ValueError, RecursionError) as error:  # the last for tables nested too deep
        return Examined(None, (_unreadable(path, error),))
    walk = Walk(path.resolve().parent)
    value = walk.build(cls, data)
    if walk.faults:
        return Examined(None, _located(path, walk.faults))
    return Examined(value, ())


def refuse(problems: Iterable[Problem]) -> None:
    """Raises ConfigError if there is any problem."""
    found = tuple(problems)
    if found:
        raise ConfigError(found)


def _settled(examined: Examined[T]) -> T:
    refuse(examined.problems)
    assert examined.value is not None
    return examined.value


def _located(path: Path, faults: Iterable[Fault]) -> tuple[Problem, ...]:
    return tuple(Problem(str(path), one.key or "(file)", one.message, one.fix) for one in faults)


def _unreadable(path: Path, error: Exception) -> Problem:
    message, fix, key = _explain(error)
    return Problem(str(path), key, message, fix)


def _explain(error: Any) -> tuple[str, str, str]:
    """Returns message, fix and key for a file that gives no TOML at all."""
    match error:
        case FileNotFoundError():
            return "there is no such file", "check the path", "(file)"
        case OSError():
            return f"it cannot be read: {error.strerror}", "check its permissions", "(file)"
        case UnicodeDecodeError():
            return f"byte {error.start} is not UTF-8", "save the file as UTF-8", "(file)"
    text = str(error)
    position = _POSITION.search(text)
    key = position.group(1) if position else "(file)"
    return f"not TOML: {_POSITION.sub('', text)}", "correct the line", key
