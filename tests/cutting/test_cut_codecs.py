"""A job's codec floors hold from their cut on, by whatever name it is called."""

from __future__ import annotations

import pytest

from coordinator.cut_codecs import Coding, cut_codecs
from coordinator.job import CodecFloor, CodecLimits
from runtime.errors import ModelError
from runtime.ids import DeviceId
from runtime.program import WHOLE_MODEL
from tests.simulation.stages import TRACED

ONE = DeviceId("board-1")
NAMES = [cut.name for cut in TRACED.cuts]


def test_without_floors_all_cuts_are_alike() -> None:
    codecs = cut_codecs(CodecLimits("int8", "fp16"), TRACED)
    assert {codecs.at(name) for name in NAMES} == {Coding("int8", "fp16")}


def test_a_floor_holds_until_the_next_in_whatever_order_they_are_written() -> None:
    first, second = len(NAMES) // 3, 2 * len(NAMES) // 3
    floors = (CodecFloor(NAMES[second], down="fp32"), CodecFloor(NAMES[first], up="fp16"))
    codecs = cut_codecs(CodecLimits("int8", "int8", floors), TRACED)
    assert [codecs.at(name) for name in NAMES] == [
        *[Coding("int8", "int8")] * first,
        *[Coding("fp16", "int8")] * (second - first),
        *[Coding("int8", "fp32")] * (len(NAMES) - second),
    ]


def test_an_alias_is_the_cut_itself() -> None:
    place, cut = next((i, cut) for i, cut in enumerate(TRACED.cuts) if cut.aliases)
    alias = cut.aliases[0]
    codecs = cut_codecs(CodecLimits(floors=(CodecFloor(alias, up="fp32"),)), TRACED)
    assert codecs.assignment(ONE, alias, 4).codec_up == "fp32"
    assert codecs.at(cut.name) == codecs.at(alias)
    assert place == 0 or codecs.at(NAMES[place - 1]).up == "int8"


def test_of_the_whole_model_nothing_is_coded() -> None:
    codecs = cut_codecs(CodecLimits(floors=(CodecFloor(NAMES[0], up="fp16"),)), TRACED)
    whole = codecs.assignment(ONE, WHOLE_MODEL, 4)
    assert (whole.codec_up, whole.codec_down) == ("fp32", "fp32")


def test_devices_must_know_what_floors_name() -> None:
    limits = CodecLimits("int8", "int8", (CodecFloor("any", up="fp16"),))
    assert limits.used == {"int8", "fp16"}


def test_a_cut_that_there_is_not_is_refused() -> None:
    with pytest.raises(ModelError, match="nowhere"):
        cut_codecs(CodecLimits(floors=(CodecFloor("nowhere"),)), TRACED)
