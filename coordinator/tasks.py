"""What the coordinator's state machine asks its executor to do, and what it gets back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import asdict, field

from coordinator.plan import Assignment, Plan
from runtime.ids import DeviceId
from runtime.letters import AttemptKey, Tensors
from runtime.value import value

COMMON_LANE = ""


@value
class OpenRound:
    """Compile what the round's plan needs. Result: None.

    Runs before any step of the round: tracing changes global switches of torch.
    """

    plan: Plan
    lane: str = COMMON_LANE


@value
class Prepare:
    """Reset the device's replica to the round's state. Result: Prepared."""

    assignment: Assignment
    attempt: AttemptKey

    @property
    def lane(self) -> str:
        return self.assignment.device


@value
class Prepared:
    """The program and the device-side layer state that a round's order carries."""

    program: str
    tensors: Tensors


@value
class PrepareProbe:
    """Make ready what a probe carries, and time the server's part. Result: PreparedProbe.

    Runs between rounds only, since it compiles. `life` is the incarnation of the device.
    """

    assignment: Assignment
    attempt: AttemptKey
    life: int

    @property
    def lane(self) -> str:
        return self.assignment.device


@value
class PreparedProbe:
    """What the order in a probe carries, and the server's time for a step (0: not known)."""

    prepared: Prepared
    worked_s: float


@value
class FetchProgram:
    """Read a compiled program. Result: bytes."""

    device: DeviceId
    digest: str

    @property
    def lane(self) -> str:
        return self.device


@value
class ServeStep:
    """Run the device's server segment forward, backward and, at the end of a step, its
    optimiser. Result: Served."""

    device: DeviceId
    attempt: AttemptKey
    step: int
    micro_batch: int
    tensors: Tensors

    @property
    def lane(self) -> str:
        return self.device


@value
class Served:
    """The gradient at the cut, the mean loss of the micro-batch, and the worker's time for it.

    `worked_s` is 0 where nobody looked at a clock.
    """

    tensors: Tensors
    loss: float
    worked_s: float = 0.0


@value
class Collect:
    """Check and keep what a device brought home. Result: None."""

    device: DeviceId
    attempt: AttemptKey
    samples: int
    tensors: Tensors

    @property
    def lane(self) -> str:
        return self.device


@value
class CloseRound:
    """Average, evaluate and checkpoint, in this order. Result: Closed.

    The checkpoint holds the complete entry of the round: a crash before it is on record loses
    neither.
    """

    round: int
    devices: tuple[DeviceId, ...]
    positions: tuple[tuple[DeviceId, int], ...]
    """Where each device's data order continues after this round."""
    entry: Mapping[str, Any] = field(factory=dict, repr=False)
    """What goes on record of the round, but for how good the model is after it."""
    lane: str = COMMON_LANE


@value
class Closed:
    """How good the model is after a round."""

    accuracy: float
    loss: float
    weights_sha256: str

    def complete(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the entry of the round with what it lacked."""
        return {**entry, **asdict(self)}


CoordinatorTask = (
    OpenRound | Prepare | PrepareProbe | FetchProgram | ServeStep | Collect | CloseRound
)
