"""Options follow the cut table, the board's profile and the job's rules."""

from __future__ import annotations

import pytest

from coordinator.cutting.traced_model import Cut
from coordinator.planning.options import (
    BoardProfile,
    CodecFloor,
    CutTimes,
    ModelSize,
    StepShape,
    build_options,
    whole_model,
)
from runtime.codecs import encoded_bytes

MODEL = ModelSize(parameter_bytes=1000, buffer_bytes=50, optimiser_slots=2)
STEP = StepShape(batch=8, labels_bytes=64, overhead_bytes=10)


def cut(name: str, channels: int, parameter_bytes: int, buffer_bytes: int = 0) -> Cut:
    return Cut(
        name=name,
        aliases=(),
        smashed_shape=(channels, 16, 16),
        smashed_bytes_per_sample=4 * channels * 256,
        device_flops_per_sample=1,
        device_parameters=parameter_bytes // 4,
        device_parameter_bytes=parameter_bytes,
        training_memory_bytes_per_sample=100,
        training_memory_fixed_bytes=4 * parameter_bytes + buffer_bytes,
    )


CUTS = (cut("one", 4, 100), cut("two", 8, 200, 30), cut("three", 2, 400, 30))
TIMES = {name: CutTimes(1.0, 2.0, 3.0) for name in ("one", "two", "three")}
PROFILE = BoardProfile(TIMES, {"two": 5555.0}, runtime_bytes=7.0)


def test_costs_come_from_the_cut_table_and_the_codecs() -> None:
    options = build_options(CUTS, PROFILE, (CodecFloor(None, "int8", "fp16"),), MODEL, STEP)
    found = {(option.cut, option.codec_up, option.codec_down): option for option in options}
    assert len(found) == 3 * 3 * 2
    option = found["two", "int8", "fp16"]
    assert option.up_bytes == encoded_bytes("int8", (8, 8, 16, 16)) + 64 + 10
    assert option.down_bytes == 2 * 8 * 8 * 256 + 10
    assert option.state_bytes == 3 * 200 + 30
    assert option.replica_memory_bytes == 4 * 800 + 20
    assert option.device_memory_bytes == 5555
    assert found["one", "fp32", "fp32"].device_memory_bytes == 400 + 800 + 7
    assert (option.forward_s, option.backward_s, option.server_s) == (1.0, 2.0, 3.0)


def test_floors_hold_from_their_cut_on() -> None:
    floors = (CodecFloor(None, "fp32", "fp32"), CodecFloor("two", "fp16", "int8"))
    options = build_options(CUTS, PROFILE, floors, MODEL, STEP)
    ups = {name: {o.codec_up for o in options if o.cut == name} for name in TIMES}
    downs = {name: {o.codec_down for o in options if o.cut == name} for name in TIMES}
    assert ups == {"one": {"fp32"}, "two": {"fp32", "fp16"}, "three": {"fp32", "fp16"}}
    assert downs["one"] == {"fp32"}
    assert downs["three"] == {"fp32", "fp16", "int8"}


def test_shallow_and_unmeasured_cuts_are_no_options() -> None:
    profile = BoardProfile({name: TIMES[name] for name in ("one", "three")}, {})
    options = build_options(CUTS, profile, (), MODEL, STEP, minimum_cut="two")
    assert {option.cut for option in options} == {"three"}
    with pytest.raises(ValueError, match="nowhere"):
        build_options(CUTS, profile, (), MODEL, STEP, minimum_cut="nowhere")


def test_the_whole_model_sends_only_its_state() -> None:
    option = whole_model(1.0, 2.0, 9000.0, MODEL)
    assert option.is_whole_model
    assert option.state_bytes == 3 * 1000 + 50
    assert option.replica_memory_bytes == option.server_s == 0
