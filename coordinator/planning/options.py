"""A device's options from what is known: the model's cuts, the board's times, the job's rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from coordinator.planning.problem import Option
from runtime.codecs import encoded_bytes
from runtime.program import WHOLE_MODEL

if TYPE_CHECKING:
    from coordinator.cut_codecs import CutCodecs
    from coordinator.cutting.traced_model import Cut


@frozen
class CutTimes:
    """What one local step at a cut takes on this board and, for it, on the server."""

    forward_s: float
    backward_s: float
    server_s: float


@frozen
class BoardProfile:
    """What is known of a board: times by the name of the cut; cuts without times are no options.

    `memory_bytes` by cut is what training there was measured to take; a cut that is not in it
    takes what the cut table estimates, and `runtime_bytes` on top.
    """

    times: Mapping[str, CutTimes]
    memory_bytes: Mapping[str, float]
    runtime_bytes: float = 0.0


@frozen
class ModelSize:
    """The whole model: parameters and buffers, and the optimiser's slots per parameter."""

    parameter_bytes: int
    buffer_bytes: int
    optimiser_slots: int


@frozen
class StepShape:
    """What a local step sends besides the tensor at the cut. Bytes are of one step."""

    batch: int
    labels_bytes: int
    overhead_bytes: int = 0


def build_options(
    cuts: Sequence[Cut],
    profile: BoardProfile,
    codecs: CutCodecs,
    model: ModelSize,
    step: StepShape,
) -> tuple[Option, ...]:
    """Returns an option for each of `cuts` that has times, the whole model's too."""
    return tuple(
        _at(cut, profile, codecs, model, step) for cut in cuts if cut.name in profile.times
    )


def whole_model(
    forward_s: float, backward_s: float, memory_bytes: float, model: ModelSize
) -> Option:
    """Returns the option to train the whole model on the device: nothing is sent in a step."""
    return Option(
        cut=WHOLE_MODEL,
        codec_up="fp32",
        codec_down="fp32",
        forward_s=forward_s,
        backward_s=backward_s,
        server_s=0.0,
        up_bytes=0.0,
        down_bytes=0.0,
        state_bytes=_state_bytes(model.parameter_bytes, model.buffer_bytes, model),
        device_memory_bytes=memory_bytes,
        replica_memory_bytes=0.0,
    )


def _at(
    cut: Cut, profile: BoardProfile, codecs: CutCodecs, model: ModelSize, step: StepShape
) -> Option:
    times = profile.times[cut.name]
    estimate = cut.training_memory_bytes(step.batch) + profile.runtime_bytes
    memory_bytes = profile.memory_bytes.get(cut.name, estimate)
    if cut.name == WHOLE_MODEL:
        return whole_model(times.forward_s, times.backward_s, memory_bytes, model)
    buffer_bytes = cut.training_memory_fixed_bytes - 4 * cut.device_parameter_bytes
    shape = (step.batch, *cut.smashed_shape)
    coding = codecs.at(cut.name)
    # Value, gradient and slots of the parameters behind the cut.
    replica = (2 + model.optimiser_slots) * (model.parameter_bytes - cut.device_parameter_bytes)
    return Option(
        cut=cut.name,
        codec_up=coding.up,
        codec_down=coding.down,
        forward_s=times.forward_s,
        backward_s=times.backward_s,
        server_s=times.server_s,
        up_bytes=encoded_bytes(coding.up, shape) + step.labels_bytes + step.overhead_bytes,
        down_bytes=encoded_bytes(coding.down, shape) + step.overhead_bytes,
        state_bytes=_state_bytes(cut.device_parameter_bytes, buffer_bytes, model),
        device_memory_bytes=memory_bytes,
        replica_memory_bytes=replica + model.buffer_bytes - buffer_bytes,
    )


def _state_bytes(parameter_bytes: int, buffer_bytes: int, model: ModelSize) -> int:
    return (1 + model.optimiser_slots) * parameter_bytes + buffer_bytes
