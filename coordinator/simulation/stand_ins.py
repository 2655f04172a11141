"""Executors that compute nothing: what they hand out has the right size, and that is all."""

from __future__ import annotations

import hashlib
import math
from typing import Any

from attrs import define, field

from coordinator.plan import Assignment
from coordinator.simulation.payloads import Payloads
from coordinator.tasks import (
    Closed,
    CloseRound,
    Collect,
    FetchProgram,
    OpenRound,
    Prepare,
    Prepared,
    Served,
    ServeStep,
)
from device_agent.tasks import Backward, Begin, FindProgram, Finish, Forward, StoreProgram, Trained
from runtime.errors import ProgramError
from runtime.ids import DeviceId
from runtime.letters import DeviceReport, RoundOrder, Tensors


@define
class StandInServer:
    """Stands for the coordinator's executor. There is no model: loss and accuracy are NaN."""

    payloads: Payloads
    _programs: dict[str, bytes] = field(factory=dict)
    _assignments: dict[DeviceId, Assignment] = field(factory=dict)
    _digests: dict[bytes, str] = field(factory=dict)

    def modelled_s(self, task: Any) -> float:
        return 0.0

    def run(self, task: Any) -> Any:
        match task:
            case OpenRound() | Collect():
                return None
            case Prepare(assignment):
                self._assignments[assignment.device] = assignment
                return Prepared(self._publish(assignment), self.payloads.state(assignment.cut))
            case FetchProgram(_, digest):
                if digest not in self._programs:
                    raise ProgramError(f"no program {digest:.64}")
                return self._programs[digest]
            case ServeStep(device):
                return Served(self._gradient(self._assignments[device]), math.nan)
            case CloseRound():
                return Closed(math.nan, math.nan, "")

    def _publish(self, assignment: Assignment) -> str:
        body = self.payloads.program(assignment)
        if body not in self._digests:
            self._digests[body] = hashlib.sha256(body).hexdigest()
        self._programs[self._digests[body]] = body
        return self._digests[body]

    def _gradient(self, assignment: Assignment) -> Tensors:
        batch = assignment.batch // assignment.micro_batches
        return self.payloads.gradient(assignment.cut, assignment.codec_down, batch)


@define
class StandInBoard:
    """Stands for a board's executor; remembers the programs it was sent."""

    payloads: Payloads
    held: set[str] = field(factory=set)
    _order: RoundOrder | None = None

    def modelled_s(self, task: Any) -> float:
        return 0.0

    def run(self, task: Any) -> Any:
        match task:
            case FindProgram(digest):
                return digest in self.held
            case StoreProgram(digest):
                self.held.add(digest)
                return None
            case Begin(order):
                self._order = order
                return None
            case Forward():
                order = self._current
                batch = order.batch // order.micro_batches
                return self.payloads.smashed(order.cut, order.codec_up, batch)  # type: ignore[arg-type]
            case Backward():
                return None
            case Finish():
                order = self._current
                samples = order.batch * order.recipe.local_steps
                return Trained(samples, self.payloads.state(order.cut), DeviceReport())

    @property
    def _current(self) -> RoundOrder:
        if self._order is None:
            raise ProgramError("a step before its round has begun")
        return self._order
