"""Options follow the cut table, the board's profile and the job's rules."""

from __future__ import annotations

from attrs import fields

from coordinator.cut_codecs import Coding, CutCodecs
from coordinator.cutting.traced_model import Cut
from coordinator.planning.cut_costs import ModelSize, StepShape, cut_costs
from runtime.codecs import encoded_bytes
from runtime.program import WHOLE_MODEL

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
INT8_UP = CutCodecs(Coding("int8", "fp16"))


def test_costs_come_from_the_cut_table_and_the_codecs() -> None:
    costs = cut_costs(CUTS[1], INT8_UP, MODEL, STEP, runtime_bytes=7.0)
    assert (costs.cut, costs.codec_up, costs.codec_down) == ("two", "int8", "fp16")
    assert costs.up_bytes == encoded_bytes("int8", (8, 8, 16, 16)) + 64 + 10
    assert costs.down_bytes == 2 * 8 * 8 * 256 + 10
    assert costs.state_bytes == 3 * 200 + 30
    assert costs.replica_memory_bytes == 4 * 800 + 20
    assert costs.device_memory_bytes == 800 + 30 + 800 + 7


def test_a_cut_with_codecs_of_its_own_has_these() -> None:
    codecs = CutCodecs(Coding("fp32", "fp32"), {"two": Coding("fp16", "int8")})
    found = [cut_costs(cut, codecs, MODEL, STEP) for cut in CUTS]
    codings = [(one.cut, one.codec_up, one.codec_down) for one in found]
    assert codings == [("one", "fp32", "fp32"), ("two", "fp16", "int8"), ("three", "fp32", "fp32")]


def test_an_option_has_costs_and_times_and_waits_for_its_letters() -> None:
    costs = cut_costs(CUTS[0], INT8_UP, MODEL, STEP)
    option = costs.option(1.0, 2.0, 3.0, 0.25, 0.5)
    assert (option.forward_s, option.backward_s, option.server_s) == (1.25, 2.5, 3.0)
    assert (option.up_wait_s, option.down_wait_s) == (0.25, 0.5)
    names = [one.name for one in fields(type(costs))]
    assert [getattr(option, name) for name in names] == [getattr(costs, name) for name in names]


def test_the_whole_model_sends_only_its_state() -> None:
    whole = cut(WHOLE_MODEL, 1, 1000, 50)
    option = cut_costs(whole, INT8_UP, MODEL, STEP).option(1.0, 2.0, 0.0)
    assert option.is_whole_model
    assert (option.codec_up, option.codec_down) == ("fp32", "fp32")
    assert option.state_bytes == 3 * 1000 + 50
    assert option.replica_memory_bytes == option.server_s == 0
