"""The largest letter that a device of a job has reason to send."""

from __future__ import annotations

import math

from coordinator.fleet import Fleet
from coordinator.job import Job
from coordinator.learning.training import CoordinatorExecutor
from coordinator.profiling.survey import LARGEST_BALLAST_BYTES

_ENVELOPE_BYTES = 1024 * 1024
"""Names, shapes, reports; tensors' own bytes are counted."""
_LABEL_BYTES = 8
_VALUE_BYTES = 4


def largest_letter_bytes(job: Job, fleet: Fleet, executor: CoordinatorExecutor) -> int:
    """Returns the bytes beyond which a device's letter is refused, by its declared size.

    A layer state has at most all layers with their slots; a step the widest tensor at a cut, in
    float32, with its labels. What one device can make the coordinator hold hangs on this.
    """
    state_bytes = sum(array.nbytes for array in executor.state.values())
    batch = max([job.training.batch, *(device.batch or 0 for device in fleet.devices)])
    widest = max(math.prod(cut.smashed_shape) for cut in executor.traced.cuts)
    labels_per_sample = math.prod(job.input.shape) if job.input.dtype == "int64" else 1
    sample_bytes = _VALUE_BYTES * widest + _LABEL_BYTES * labels_per_sample
    largest = max(state_bytes, batch * sample_bytes, LARGEST_BALLAST_BYTES)
    return largest + _ENVELOPE_BYTES
