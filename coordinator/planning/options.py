"""A device's options from what is known: the model's cuts, the board's times, the job's rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from coordinator.planning.problem import Option
from runtime.codecs import encoded_bytes
from runtime.program import WHOLE_MODEL, Codec

if TYPE_CHECKING:
    from coordinator.cutting.traced_model import Cut

FINEST_FIRST: tuple[Codec, ...] = ("fp32", "fp16", "int8")


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
class CodecFloor:
    """From cut `first_cut` on (None: from the input on) nothing coarser than these may be used."""

    first_cut: str | None
    up: Codec
    down: Codec


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
    floors: Sequence[CodecFloor],
    model: ModelSize,
    step: StepShape,
    *,
    minimum_cut: str | None = None,
) -> tuple[Option, ...]:
    """Returns the legal options in order of depth, the finest codecs of each cut first.

    `cuts` and `floors` go from input to output; where no floor applies, every codec may be used.
    The whole model, if it is among the cuts, is one option: nothing is coded.
    Raises ValueError for a minimum cut or a floor at a cut that the model does not have.
    """
    names = [cut.name for cut in cuts]
    first = 0 if minimum_cut is None else names.index(minimum_cut)
    return tuple(
        option
        for index, cut in enumerate(cuts)
        if index >= first and cut.name in profile.times
        for option in _at(cut, profile, _floor(names, index, floors), model, step)
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
    cut: Cut, profile: BoardProfile, floor: CodecFloor, model: ModelSize, step: StepShape
) -> Iterator[Option]:
    times = profile.times[cut.name]
    estimate = cut.training_memory_bytes(step.batch) + profile.runtime_bytes
    memory_bytes = profile.memory_bytes.get(cut.name, estimate)
    if cut.name == WHOLE_MODEL:
        yield whole_model(times.forward_s, times.backward_s, memory_bytes, model)
        return
    buffer_bytes = cut.training_memory_fixed_bytes - 4 * cut.device_parameter_bytes
    shape = (step.batch, *cut.smashed_shape)
    # Value, gradient and slots of the parameters behind the cut.
    replica = (2 + model.optimiser_slots) * (model.parameter_bytes - cut.device_parameter_bytes)
    for up in _no_coarser(floor.up):
        for down in _no_coarser(floor.down):
            yield Option(
                cut=cut.name,
                codec_up=up,
                codec_down=down,
                forward_s=times.forward_s,
                backward_s=times.backward_s,
                server_s=times.server_s,
                up_bytes=encoded_bytes(up, shape) + step.labels_bytes + step.overhead_bytes,
                down_bytes=encoded_bytes(down, shape) + step.overhead_bytes,
                state_bytes=_state_bytes(cut.device_parameter_bytes, buffer_bytes, model),
                device_memory_bytes=memory_bytes,
                replica_memory_bytes=replica + model.buffer_bytes - buffer_bytes,
            )


def _state_bytes(parameter_bytes: int, buffer_bytes: int, model: ModelSize) -> int:
    return (1 + model.optimiser_slots) * parameter_bytes + buffer_bytes


def _floor(names: Sequence[str], index: int, floors: Sequence[CodecFloor]) -> CodecFloor:
    """Returns the floor of the last rule that begins at or before the cut."""
    applies = CodecFloor(None, FINEST_FIRST[-1], FINEST_FIRST[-1])
    for floor in floors:
        if floor.first_cut is None or names.index(floor.first_cut) <= index:
            applies = floor
    return applies


def _no_coarser(floor: Codec) -> tuple[Codec, ...]:
    return FINEST_FIRST[: FINEST_FIRST.index(floor) + 1]
