"""Numbers and structures that no honest peer sends are undecodable, and cost no memory."""

from __future__ import annotations

import json
import math
import tracemalloc

import attrs
import pytest

from runtime.errors import WireError
from runtime.ids import DeviceId
from runtime.letters import AttemptKey, DeviceReport, Refusal, RoundResult, Step, StepTimes
from runtime.presence import CoordinatorPresence, DevicePresence, Limits
from runtime.wire import decode, decode_json, encode, encode_json

BIRTH = DevicePresence(DeviceId("board"), 1, "online", limits=Limits(1, 1, 1))
ARRAY_32, ARRAY_16 = b"\xdd", b"\xdc"


@pytest.mark.parametrize("value", [-1, 2**53, 2**64, 10**3000])
@pytest.mark.parametrize("key", ["incarnation", "samples", "protocol", "opset", "transfer_bytes"])
def test_births_with_absurd_numbers(key: str, value: int) -> None:
    text = json.loads(encode_json(BIRTH))
    (text["limits"] if key == "transfer_bytes" else text)[key] = value
    with pytest.raises(WireError):
        decode_json(DevicePresence, json.dumps(text).encode())


def test_a_coordinator_s_incarnation_fits_into_a_frame() -> None:
    text = {"incarnation": 10**3000, "status": "online"}
    with pytest.raises(WireError):
        decode_json(CoordinatorPresence, json.dumps(text).encode())


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 1e300])
@pytest.mark.parametrize(
    "field", [one.name for one in attrs.fields(DeviceReport) if one.name.endswith("_s")]
)
def test_reports_with_absurd_figures(field: str, value: float) -> None:
    good = DeviceReport(step=StepTimes(1.0, 2.0, 3.0))
    raw = encode(RoundResult("run", AttemptKey(1, 1), 4, {}, good))
    assert decode(RoundResult, raw).value.report == good
    bad = attrs.evolve(good)
    object.__setattr__(bad, field, value)
    with pytest.raises(WireError):
        decode(RoundResult, encode(RoundResult("run", AttemptKey(1, 1), 4, {}, bad)))


def test_reasons_are_shortened_by_whoever_reads_them() -> None:
    raw = encode(Refusal("run", AttemptKey(1, 1), "x")).replace(
        b"\xa1x", b"\xdb\0\x01\0\0" + b"y" * 65536
    )
    assert len(decode(Refusal, raw).value.reason) < 600


@pytest.mark.parametrize(
    "bomb",
    [
        ARRAY_32 + b"\0\x40\0\0" + b"\x80" * 2**22,
        ARRAY_32 + b"\0\x40\0\0" + b"\xc0" * 2**22,
        b"\x9f" + (ARRAY_16 + b"\xff\xff" + b"\x80" * 65535) * 15,
        b"\x9f" + (ARRAY_16 + b"\xff\xff" + b"\xa1a" * 65535) * 15,
        ARRAY_16 + b"\xff\xff" + (ARRAY_16 + b"\xff\xff" + b"\xc0" * 65535) * 32,
        b"\x91" * 2**22,
        b"\x81\xa1a" * 2**20,
    ],
    ids=["maps", "nils", "nested maps", "nested texts", "nested nils", "deep", "deep maps"],
)
def test_small_bytes_do_not_become_large_values(bomb: bytes) -> None:
    """4 MB of one-byte maps would take 300 MB."""
    tracemalloc.start()
    try:
        with pytest.raises(WireError):
            decode(Step, bomb)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_an_error_that_holds_what_was_decoded_is_told_in_short() -> None:
    """Its repr would go beyond Python's stack: one frame would have ended a coordinator."""
    with pytest.raises(WireError):
        decode(Step, b"\x91" * 1000 + b"\xc0" + b"\xc0")
