"""Options follow the cut table, the board's profile and the job's rules."""

from __future__ import annotations

from coordinator.cut_codecs import Coding, CutCodecs
from coordinator.cutting.traced_model import Cut
from coordinator.planning.options import (
    BoardProfile,
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
INT8_UP = CutCodecs(Coding("int8", "fp16"))
PROFILE = BoardProfile(TIMES, {"two": 5555.0}, runtime_bytes=7.0)


def test_costs_come_from_the_cut_table_and_the_codecs() -> None:
    one, option, _ = build_options(CUTS, PROFILE, INT8_UP, MODEL, STEP)
    assert (option.cut, option.codec_up, option.codec_down) == ("two", "int8", "fp16")
    assert option.up_bytes == encoded_bytes("int8", (8, 8, 16, 16)) + 64 + 10
    assert option.down_bytes == 2 * 8 * 8 * 256 + 10
    assert option.state_bytes == 3 * 200 + 30
    assert option.replica_memory_bytes == 4 * 800 + 20
    assert option.device_memory_bytes == 5555
    assert one.device_memory_bytes == 400 + 800 + 7
    assert (option.forward_s, option.backward_s, option.server_s) == (1.0, 2.0, 3.0)


def test_a_cut_with_codecs_of_its_own_has_these() -> None:
    codecs = CutCodecs(Coding("fp32", "fp32"), {"two": Coding("fp16", "int8")})
    options = build_options(CUTS, PROFILE, codecs, MODEL, STEP)
    found = [(one.cut, one.codec_up, one.codec_down) for one in options]
    assert found == [("one", "fp32", "fp32"), ("two", "fp16", "int8"), ("three", "fp32", "fp32")]


def test_unmeasured_cuts_are_no_options() -> None:
    profile = BoardProfile({name: TIMES[name] for name in ("one", "three")}, {})
    options = build_options(CUTS, profile, INT8_UP, MODEL, STEP)
    assert [option.cut for option in options] == ["one", "three"]


def test_the_whole_model_sends_only_its_state() -> None:
    option = whole_model(1.0, 2.0, 9000.0, MODEL)
    assert option.is_whole_model
    assert option.state_bytes == 3 * 1000 + 50
    assert option.replica_memory_bytes == option.server_s == 0
