"""Round trips, strictness, and decoders that let nothing but WireError out."""

from __future__ import annotations

import json
import random
import tracemalloc
from copy import copy
from typing import Any

import attrs
import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import WireError
from runtime.frames import Chunk, Grant, Offer, Receipt, Session
from runtime.letters import AttemptKey, Gradient, ProgramDelivery, ProgramRequest, Refusal, Step
from runtime.presence import CoordinatorPresence, DevicePresence, Limits
from runtime.tensors import pack
from runtime.wire import _derived, decode, decode_json, encode, encode_json
from tests.wire.messages import MESSAGES

whole = st.integers(-(2**63), 2**64 - 1)
natural = st.integers(0, 2**64 - 1)
count = st.integers(0, 2**53 - 1)
status = st.sampled_from(["online", "lost", "left", "finished"])
sessions = st.builds(Session, whole, whole)
attempts = st.builds(AttemptKey, natural, natural)
tensors = st.dictionaries(
    st.text(max_size=8), st.lists(st.floats(width=32)).map(lambda v: pack(np.array(v, np.float32)))
)
frames = st.one_of(
    st.builds(
        Offer,
        sessions,
        whole,
        st.text(),
        whole,
        st.binary(),
        st.none() | st.binary(),
        st.none() | whole,
        st.none() | whole,
    ),
    st.builds(Grant, sessions, whole, st.lists(st.tuples(whole, whole)).map(tuple)),
    st.builds(Chunk, sessions, whole, whole, whole, st.binary()),
    st.builds(Receipt, sessions, whole, st.none() | st.text()),
)
letters = st.one_of(
    st.builds(Step, st.text(), attempts, natural, natural, tensors),
    st.builds(Gradient, st.text(), attempts, natural, natural, tensors),
    st.builds(ProgramRequest, st.text()),
    st.builds(ProgramDelivery, st.text(), st.binary()),
    st.builds(Refusal, st.text(), attempts, st.text()),
)
texts = st.lists(st.text(), max_size=3).map(tuple)
presences = st.one_of(
    st.builds(
        DevicePresence, st.text(), count, status, count, count, st.text(), count, texts, texts,
        st.none() | st.builds(Limits, count, count, count),
    ),
    st.builds(CoordinatorPresence, count, status, st.text(), count),
)  # fmt: skip

BINARY = sorted(name for name in MESSAGES if not name.startswith("presence"))
TEXTUAL = sorted(name for name in MESSAGES if name.startswith("presence"))


def raw_of(name: str) -> Any:
    message = MESSAGES[name]
    return msgpack.unpackb(encode(message)) if name in BINARY else json.loads(encode_json(message))


def fields_of(name: str) -> tuple[attrs.Attribute[Any], ...]:
    cls: Any = type(MESSAGES[name])
    return attrs.fields(cls)  # type: ignore[no-any-return]


def decoded(name: str, raw: Any) -> Any:
    cls = type(MESSAGES[name])
    if name in BINARY:
        return decode(cls, msgpack.packb(raw))
    return decode_json(cls, json.dumps(raw).encode())


class TestRoundTrip:
    @given(st.one_of(frames, letters))
    def test_of_frames_and_letters(self, message: Any) -> None:
        assert decode(type(message), encode(message)).value == message

    @given(presences)
    def test_of_presence(self, message: Any) -> None:
        assert decode_json(type(message), encode_json(message)).value == message

    @pytest.mark.parametrize("name", sorted(MESSAGES))
    def test_of_one_of_each_kind(self, name: str) -> None:
        assert decoded(name, raw_of(name)).value == MESSAGES[name]


@pytest.mark.parametrize("name", sorted(MESSAGES))
class TestStrictness:
    def test_unknown_keys_are_ignored_and_counted(self, name: str) -> None:
        answer = decoded(name, {**raw_of(name), "later": [1], "even later": None})
        assert answer.value == MESSAGES[name]
        assert answer.unknown_keys == 2

    def test_a_missing_required_key_is_refused(self, name: str) -> None:
        raw = raw_of(name)
        for attribute in fields_of(name):
            without = {key: value for key, value in raw.items() if key != attribute.name}
            if attribute.default is attrs.NOTHING:
                with pytest.raises(WireError):
                    decoded(name, without)
            else:
                default = getattr(decoded(name, without).value, attribute.name)
                assert default == attribute.default

    def test_a_wrong_type_is_refused(self, name: str) -> None:
        raw = raw_of(name)
        for key, right in raw.items():
            wrongs: tuple[Any, ...] = (True, 1.5, "text", 7, [[1]], {"a": 1}, {1: 2}, [None], [[]])
            for wrong in wrongs:
                if type(wrong) is type(right) or (right is None and wrong in ("text", 7)):
                    continue
                with pytest.raises(WireError):
                    decoded(name, {**raw, key: wrong})

    def test_what_is_no_map_is_refused(self, name: str) -> None:
        for wrong in (None, 1, "text", [], [raw_of(name)], True):
            with pytest.raises(WireError):
                decoded(name, wrong)


@pytest.mark.parametrize("body", ["fp32", b"fp32", {"fp32": 1}, 5, None])
def test_only_a_list_is_taken_for_a_list(body: Any) -> None:
    """A text would come apart into letters, bytes into numbers, a map into its keys."""
    raw = {**raw_of("frame-grant"), "ranges": body}
    with pytest.raises(WireError):
        decode(Grant, msgpack.packb(raw))
    with pytest.raises(WireError):
        decode(Grant, msgpack.packb({**raw, "ranges": [body]}))


DERIVED = _derived()
ODD = st.sampled_from(
    [None, True, 1.0, 0, 1, -1, 2**63, "", "u8", b"", b"u8", [], [1], {}, {"a": 1}]
)


def mutate(data: st.DataObject, raw: Any) -> Any:
    """Returns `raw` with one value within it replaced, taken out or added."""
    if not isinstance(raw, dict | list) or not raw or data.draw(st.integers(0, 3)) == 0:
        return data.draw(ODD)
    places = sorted(raw) if isinstance(raw, dict) else list(range(len(raw)))
    changed, place = copy(raw), data.draw(st.sampled_from(places))
    match data.draw(st.sampled_from(["deeper", "deeper", "without", "bytes"])):
        case "without":
            del changed[place]
        case "bytes" if isinstance(changed, dict):
            changed[place.encode()] = changed.pop(place)
        case _:
            changed[place] = mutate(data, raw[place])
    return changed


@settings(max_examples=1000, deadline=None)
@given(st.sampled_from(BINARY), st.data())
def test_what_is_written_out_is_as_strict_as_what_is_derived(
    name: str, data: st.DataObject
) -> None:
    cls, raw = type(MESSAGES[name]), mutate(data, raw_of(name))
    try:
        expected = DERIVED.structure(raw, cls)
    except Exception:
        with pytest.raises(WireError):
            decode(cls, msgpack.packb(raw))
    else:
        arrived = decode(cls, msgpack.packb(raw)).value
        # Not equality alone, to which True is 1.
        assert (arrived, repr(arrived)) == (expected, repr(expected))


def harmless(name: str, data: bytes) -> None:
    decoder = decode if name in BINARY else decode_json
    try:
        decoder(type(MESSAGES[name]), data)
    except WireError as error:
        assert len(str(error)) < 2000


class TestFuzz:
    @given(st.sampled_from(sorted(MESSAGES)), st.binary(max_size=300))
    def test_random_bytes(self, name: str, data: bytes) -> None:
        harmless(name, data)

    @settings(max_examples=300)
    @given(st.sampled_from(sorted(MESSAGES)), st.integers(0, 2**32), st.integers(1, 4))
    def test_mutated_bytes(self, name: str, seed: int, changes: int) -> None:
        message, rng = MESSAGES[name], random.Random(seed)
        data = bytearray(encode(message) if name in BINARY else encode_json(message))
        for _ in range(changes):
            data[rng.randrange(len(data))] = rng.randrange(256)
        harmless(name, bytes(data))

    @pytest.mark.parametrize("name", sorted(MESSAGES))
    def test_every_truncation_is_refused(self, name: str) -> None:
        message = MESSAGES[name]
        data = encode(message) if name in BINARY else encode_json(message)
        decoder = decode if name in BINARY else decode_json
        for length in range(len(data)):
            with pytest.raises(WireError):
                decoder(type(message), data[:length])

    values = st.recursive(
        st.none() | st.booleans() | whole | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=8,
    )

    @settings(max_examples=300)
    @given(st.data())
    def test_any_value_in_any_place(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(MESSAGES)))
        raw = raw_of(name)
        raw[data.draw(st.sampled_from(sorted(raw)))] = data.draw(self.values)
        if name in BINARY:
            harmless(name, msgpack.packb(raw))
        else:
            harmless(name, json.dumps(raw).encode())

    @pytest.mark.parametrize("depth", [100, 1_000, 100_000])
    def test_deep_nesting(self, depth: int) -> None:
        for name in sorted(MESSAGES):
            for data in (b"\x91" * depth, b"\x81\xa1a" * depth, b"[" * depth, b'{"a":' * depth):
                harmless(name, data)

    @pytest.mark.parametrize(
        "huge", [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff",
                 b"\xdb\xff\xff\xff\xff", b"\xc9\xff\xff\xff\xff\x01"],
    )  # fmt: skip
    def test_a_huge_declared_length_allocates_nothing(self, huge: bytes) -> None:
        tracemalloc.start()
        try:
            for data in (huge, b"\x81\xa4size" + huge, b"\x81" + huge):
                with pytest.raises(WireError):
                    decode(Offer, data)
            assert tracemalloc.get_traced_memory()[1] < 1_000_000
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize(
        "text", [b"9" * 5000, b"NaN", b"-Infinity", b"1e999", b'"\\ud800"', b"\xff\xfe", b'"\x00"']
    )
    def test_odd_json(self, text: bytes) -> None:
        harmless("presence-device", b'{"device": "a", "status": "lost", "incarnation": %b}' % text)
