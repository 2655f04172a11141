"""What the agent's state machine asks its executor to do, and what it gets back."""

from __future__ import annotations

from attrs import frozen

from runtime.letters import AttemptKey, DeviceReport, RoundOrder, Tensors

_LANE = "device"


@frozen
class FindProgram:
    """Look for a program in the cache on disk. Result: bool."""

    digest: str
    lane: str = _LANE


@frozen
class StoreProgram:
    """Check a program against its digest and the device's limits, and keep it. Result: None."""

    digest: str
    body: bytes
    lane: str = _LANE


@frozen
class Begin:
    """Load program, layer state and optimiser for a round. Result: None."""

    order: RoundOrder
    lane: str = _LANE


@frozen
class Forward:
    """Run the segment forward on the next batch. Result: Tensors to send (smashed, labels).

    There are none where the segment is the whole model.
    """

    attempt: AttemptKey
    step: int
    micro_batch: int
    lane: str = _LANE


@frozen
class Backward:
    """Run the segment backward and, after the last micro-batch, the optimiser. Result: None.

    Without tensors the gradient is zeros, that of a probe; or, of the whole model, the loss's own.
    """

    attempt: AttemptKey
    step: int
    micro_batch: int
    tensors: Tensors | None
    lane: str = _LANE


@frozen
class Finish:
    """Hand over the trained layer state. Result: Trained."""

    attempt: AttemptKey
    lane: str = _LANE


@frozen
class Trained:
    """What a device brings home from a round."""

    samples: int
    tensors: Tensors
    report: DeviceReport


DeviceTask = FindProgram | StoreProgram | Begin | Forward | Backward | Finish
