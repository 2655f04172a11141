"""Turns valid inputs into nearly valid ones: by bytes, and by the structure that they hold."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgpack
from attrs import frozen

Form = Literal["msgpack", "json", "text", "bytes"]

_NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 7, 255, 2**16, 2**31 - 1, 2**31, 2**32, 2**53, 2**63 - 1, -(2**63), 2**64 - 1,
    0.0, -0.0, 0.5, 1e-320, 1e308, -1e308, float("inf"), float("-inf"), float("nan"), True, False,
)  # fmt: skip
_TEXTS = ("", "x", "../../etc/passwd", "\0", "a" * 300, "é\U0001f600", "nan", "1e999", "9" * 5000)
_TOKENS = (
    *(text.encode() for text in _TEXTS), b"[", b"]", b"{", b"}", b'"', b"'", b"=", b"\n", b"#",
    b"null", b"true", b"-1", b"0", b"1e999", b"inf", b"nan", b"0x7fffffffffffffff", b"%00", b"@",
    b":", b"//", b"?", b"&", b"\xff\xfe", b"[[", b"]]", b"1979-05-27", b"\\ud800", b"9" * 400,
)  # fmt: skip
_WORD = re.compile(rb'"[^"\n]*"|[\w.+-]+')
_LONGEST_BYTES = 1 << 16


@frozen
class Mutator:
    """Seeded: the same draws give the same inputs."""

    draw: random.Random

    def mutate(self, corpus: Sequence[bytes], form: Form) -> bytes:
        """Returns a changed copy of one of the corpus, mostly changed once or twice."""
        data = self.draw.choice(corpus)
        if form in ("msgpack", "json") and self.draw.random() < 0.6:
            data = self._restructured(data, form)
        if form == "text" and self.draw.random() < 0.7:
            data = self._reworded(data)
        if self.draw.random() < 0.5:
            for _ in range(self.draw.choice((1, 1, 1, 2, 4, 16))):
                data = self.draw.choice(_BY_BYTES)(self.draw, data, corpus)
        return data[:_LONGEST_BYTES]

    def _restructured(self, data: bytes, form: Form) -> bytes:
        value = msgpack.unpackb(data) if form == "msgpack" else json.loads(data)
        value = self._changed(value)
        if form == "json":
            return json.dumps(value).encode()
        try:
            return bytes(msgpack.packb(value))
        except (OverflowError, ValueError):
            return data

    def _changed(self, value: Any) -> Any:
        """Changes the value itself or, more likely, something in it."""
        if value and self.draw.random() < 0.8:
            if isinstance(value, dict):
                key = self.draw.choice(list(value))
                return self._in_map(value, key)
            if isinstance(value, list):
                at = self.draw.randrange(len(value))
                return [*value[:at], self._changed(value[at]), *value[at + 1 :]]
        return self._other(value)

    def _in_map(self, value: dict[Any, Any], key: Any) -> dict[Any, Any]:
        match self.draw.randrange(8):
            case 0:
                return {k: v for k, v in value.items() if k != key}
            case 1:
                return {**value, self.draw.choice(_TEXTS): value[key]}
            case _:
                return {**value, key: self._changed(value[key])}

    def _other(self, value: Any) -> Any:
        match self.draw.randrange(9):
            case 0 | 1:
                return self.draw.choice(_NUMBERS)
            case 2:
                return self.draw.choice(_TEXTS)
            case 3:
                return None
            case 4:
                return []
            case 5:
                return {}
            case 6:
                return [value] * self.draw.choice((2, 3, 9, 300))
            case 7 if isinstance(value, int):
                return value + self.draw.choice((-1, 1, 2**31, -(2**31)))
            case _:
                return {"x": value}

    def _reworded(self, data: bytes) -> bytes:
        """Puts something else in the place of a word or of a quoted text."""
        words = list(_WORD.finditer(data))
        if not words:
            return data
        word = self.draw.choice(words)
        other = self.draw.choice(_TOKENS)
        if self.draw.random() < 0.3:
            other = self.draw.choice(words).group()
        return data[: word.start()] + other + data[word.end() :]


def _flip(draw: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at = draw.randrange(len(data) + 1)
    return data[:at] + bytes([draw.randrange(256)]) + data[at + 1 :]


def _insert(draw: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at = draw.randrange(len(data) + 1)
    return data[:at] + draw.choice((*_TOKENS, draw.randbytes(draw.randrange(9)))) + data[at:]


def _cut(draw: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, stop = sorted(draw.randrange(len(data) + 1) for _ in range(2))
    return data[:start] + data[stop:]


def _truncate(draw: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return data[: draw.randrange(len(data) + 1)]


def _repeat(draw: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    """Repeats a slice, now and then so often that what it nests is deep."""
    start = draw.randrange(len(data) + 1)
    stop = min(len(data), start + draw.choice((1, 1, 2, 5, 40)))
    return data[:start] + data[start:stop] * draw.choice((2, 3, 20, 3000)) + data[stop:]


def _splice(draw: random.Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    other = draw.choice(corpus)
    return data[: draw.randrange(len(data) + 1)] + other[draw.randrange(len(other) + 1) :]


_BY_BYTES: tuple[Callable[[random.Random, bytes, Sequence[bytes]], bytes], ...] = (
    _flip, _flip, _insert, _cut, _truncate, _repeat, _splice,
)  # fmt: skip
