"""What taking part at a cut costs: the same for every board of a batch, but for its times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from coordinator.planning.problem import Option
from runtime.codecs import encoded_bytes
from runtime.program import WHOLE_MODEL, Codec

if TYPE_CHECKING:
    from coordinator.cut_codecs import CutCodecs
    from coordinator.cutting.traced_model import Cut


@frozen
class ModelSize:
    """The whole model: parameters and buffers, and the optimiser's slots per parameter."""

    parameter_bytes: int
    buffer_bytes: int
    optimiser_slots: int

    def state_bytes(self, parameter_bytes: int, buffer_bytes: int) -> int:
        """Returns the size of a layer state: each parameter with its slots, and the buffers."""
        return (1 + self.optimiser_slots) * parameter_bytes + buffer_bytes


@frozen
class StepShape:
    """What a local step sends besides the tensor at the cut. Bytes are of one step."""

    batch: int
    labels_bytes: int
    overhead_bytes: int = 0


@frozen
class CutCosts:
    """An option but for the times: bytes of a step each way, of a layer state, and memory."""

    cut: str
    codec_up: Codec
    codec_down: Codec
    up_bytes: float
    down_bytes: float
    state_bytes: float
    device_memory_bytes: float
    replica_memory_bytes: float

    def option(
        self,
        forward_s: float,
        backward_s: float,
        server_s: float,
        up_wait_s: float = 0.0,
        down_wait_s: float = 0.0,
    ) -> Option:
        """Returns the option of a device whose steps take so long, and its letters' waits more.

        A fleet has thousands of them: arguments by position, in the order of `Option`'s fields.
        """
        return Option(
            self.cut,
            self.codec_up,
            self.codec_down,
            forward_s + up_wait_s,
            backward_s + down_wait_s,
            server_s,
            self.up_bytes,
            self.down_bytes,
            self.state_bytes,
            self.device_memory_bytes,
            self.replica_memory_bytes,
            up_wait_s,
            down_wait_s,
        )


def cut_costs(
    cut: Cut, codecs: CutCodecs, model: ModelSize, step: StepShape, runtime_bytes: float = 0.0
) -> CutCosts:
    """Returns what a cut costs, or the whole model, of which nothing is sent in a step.

    `runtime_bytes` come on top of the memory that the cut table estimates.
    """
    memory_bytes = cut.training_memory_bytes(step.batch) + runtime_bytes
    if cut.name == WHOLE_MODEL:
        state_bytes = model.state_bytes(model.parameter_bytes, model.buffer_bytes)
        return CutCosts(cut.name, "fp32", "fp32", 0.0, 0.0, state_bytes, memory_bytes, 0.0)
    buffer_bytes = cut.training_memory_fixed_bytes - 4 * cut.device_parameter_bytes
    shape = (step.batch, *cut.smashed_shape)
    coding = codecs.at(cut.name)
    # Value, gradient and slots of the parameters behind the cut.
    replica = (2 + model.optimiser_slots) * (model.parameter_bytes - cut.device_parameter_bytes)
    return CutCosts(
        cut=cut.name,
        codec_up=coding.up,
        codec_down=coding.down,
        up_bytes=encoded_bytes(coding.up, shape) + step.labels_bytes + step.overhead_bytes,
        down_bytes=encoded_bytes(coding.down, shape) + step.overhead_bytes,
        state_bytes=model.state_bytes(cut.device_parameter_bytes, buffer_bytes),
        device_memory_bytes=memory_bytes,
        replica_memory_bytes=replica + model.buffer_bytes - buffer_bytes,
    )
