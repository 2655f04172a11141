"""What letters weigh: tensors of the right names, types and shapes, all of zeros.

Equal tensors share their bytes, so that a thousand boards need no more memory than one.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from attrs import define, field

from coordinator.cutting.traced_model import TracedModel
from coordinator.job import Job
from coordinator.plan import Assignment
from runtime.codecs import CODECS
from runtime.letters import GRADIENT, LABELS, SMASHED, Tensors
from runtime.optimisers import Optimiser
from runtime.program import WHOLE_MODEL, Codec
from runtime.tensors import PackedTensor, pack

_PROGRAM_BYTES = 2_000
_PROGRAM_BYTES_PER_TENSOR = 2_000
"""Compiled ResNets, VGGs and plain CNNs have 1,600 to 2,500 bytes for each parameter tensor."""
_SMALL_CLASSES = 2**8


@define
class Payloads:
    """The letters' contents for the model of a job."""

    job: Job
    traced: TracedModel
    _states: dict[str, Tensors] = field(factory=dict)
    _programs: dict[tuple[str, int, Codec], bytes] = field(factory=dict)

    def smashed(self, cut: str, codec: Codec, batch: int) -> Tensors:
        """Returns what a micro-batch of `batch` samples sends up: activations and labels.

        Nothing of the whole model.
        """
        if cut == WHOLE_MODEL:
            return {}
        labels = _zeros("u1" if self.job.input.classes <= _SMALL_CLASSES else "i2", (batch,))
        return {**self._coded(SMASHED, cut, codec, batch), LABELS: labels}

    def gradient(self, cut: str, codec: Codec, batch: int) -> Tensors:
        """Returns what a micro-batch gets back."""
        return self._coded(GRADIENT, cut, codec, batch)

    def state(self, cut: str) -> Tensors:
        """Returns the layer state of the device's part: weights, buffers, slots."""
        if cut not in self._states:
            part = self.traced.split(cut).device
            trained = {
                key: np.zeros(tuple(parameter.shape), np.float32)
                for key, parameter in part.named_parameters()
                if parameter.requires_grad
            }
            arrays = {key: tensor.numpy() for key, tensor in part.state_dict().items()}
            arrays |= Optimiser(self.job.optimiser).slots_for(trained)
            self._states[cut] = {
                key: _zeros(array.dtype.str, array.shape) for key, array in arrays.items()
            }
        return self._states[cut]

    def program(self, assignment: Assignment) -> bytes:
        """Returns bytes as many as the segment program has, or nearly."""
        batch = assignment.batch // assignment.micro_batches
        key = (assignment.cut, batch, assignment.codec_up)
        if key not in self._programs:
            part = self.traced.split(assignment.cut).device
            tensors = len(list(part.parameters()))
            size_bytes = _PROGRAM_BYTES + _PROGRAM_BYTES_PER_TENSOR * tensors
            self._programs[key] = repr(key).encode().ljust(size_bytes, b"\0")
        return self._programs[key]

    def _coded(self, name: str, cut: str, codec: Codec, batch: int) -> Tensors:
        shape = (batch, *self.traced.cut(cut).smashed_shape)
        layout = CODECS[codec].layout(shape)
        return {
            name + suffix: _zeros(np.dtype(kind).str, part)
            for suffix, (kind, part) in layout.items()
        }


@lru_cache(maxsize=4096)
def _zeros(dtype: str, shape: tuple[int, ...]) -> PackedTensor:
    """Returns a tensor of zeros; all of one size have their bytes in common."""
    named = pack(np.zeros((0,), np.dtype(dtype))).dtype
    return PackedTensor(named, shape, _zero_bytes(math.prod(shape) * np.dtype(dtype).itemsize))


@lru_cache(maxsize=4096)
def _zero_bytes(size_bytes: int) -> bytes:
    return bytes(size_bytes)
