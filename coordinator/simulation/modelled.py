"""Executors whose tasks take modelled time, whatever does their work."""

from __future__ import annotations

from statistics import median
from typing import Any

import attrs
import numpy as np

from coordinator.plan import Assignment
from coordinator.simulation.costs import Costs
from coordinator.simulation.ledger import Ledger
from coordinator.tasks import OpenRound, Prepare, PreparedProbe, PrepareProbe, ServeStep
from device_agent.config import Ceilings
from device_agent.stopwatch import FORWARD_SHARE, Part, Slowdown
from device_agent.tasks import Backward, Begin, Forward, Trained
from runtime.clock import Clock
from runtime.emulation_spec import Emulation
from runtime.errors import ProgramError
from runtime.executor import Executor
from runtime.ids import DeviceId
from runtime.letters import DeviceReport, RoundOrder, StepTimes
from runtime.transport.link_model import Trace, value_at


class ModelledServer:
    """Gives the server's steps their time; all else takes what the inner executor says."""

    def __init__(self, inner: Executor, costs: Costs, clock: Clock, ledger: Ledger) -> None:
        self._inner = inner
        self._costs = costs
        self._clock = clock
        self._ledger = ledger
        self._assignments: dict[DeviceId, Assignment] = {}
        self._submitted_s: dict[DeviceId, float] = {}

    def modelled_s(self, task: Any) -> float:
        if not isinstance(task, ServeStep):
            return self._inner.modelled_s(task)
        self._submitted_s[task.device] = self._clock.now()
        return self._costs.serve_s(self._assignments[task.device])

    def run(self, task: Any) -> Any:
        match task:
            case PrepareProbe(assignment, attempt):
                prepared = self._inner.run(Prepare(assignment, attempt))
                step_s = self._costs.serve_s(assignment) * assignment.micro_batches
                return PreparedProbe(prepared, step_s)
            case OpenRound():
                # What boards did to be measured is no part of the round.
                self._ledger.clear()
            case Prepare(assignment):
                self._assignments[assignment.device] = assignment
            case ServeStep(device):
                return attrs.evolve(self._inner.run(task), worked_s=self._book(device))
        return self._inner.run(task)

    def _book(self, device: DeviceId) -> float:
        worked_s = self._costs.serve_s(self._assignments[device])
        spent = self._ledger.of(device)
        spent.server_s += worked_s
        spent.queue_s += max(0.0, self._clock.now() - self._submitted_s[device] - worked_s)
        return worked_s


class ModelledBoard:
    """Gives a board's steps their time, and reports this time in place of the real one."""

    def __init__(
        self,
        device: DeviceId,
        inner: Executor,
        costs: Costs,
        emulation: Emulation,
        *,
        clock: Clock,
        ledger: Ledger,
        slowdown: Trace = (),
        pace: Slowdown | None = None,
    ) -> None:
        self._device = device
        self._inner = inner
        self._costs = costs
        self._emulation = emulation
        self._clock = clock
        self._ledger = ledger
        self._slowdown = slowdown
        self._pace = pace or Slowdown()
        self._order: RoundOrder | None = None
        self._steps: dict[int, dict[Part, float]] = {}

    def modelled_s(self, task: Any) -> float:
        """Returns the task's time, and books it: it is asked once, when the task is submitted."""
        match task:
            case Forward(_, step):
                return self._spend(step, "forward", FORWARD_SHARE)
            case Backward(_, step):
                return self._spend(step, "backward", 1 - FORWARD_SHARE)
        return 0.0

    def run(self, task: Any) -> Any:
        if isinstance(task, Begin):
            self._refuse_misfit(task.order)
            self._order, self._steps = task.order, {}
        result = self._inner.run(task)
        if isinstance(result, Trained):
            loss = result.report.mean_loss
            return attrs.evolve(result, report=attrs.evolve(self._report(), mean_loss=loss))
        return result

    def _refuse_misfit(self, order: RoundOrder) -> None:
        """Refuses, as a real board does, what its memory cannot hold. Raises ProgramError."""
        limit = self._emulation.instead_of(Ceilings().announced).memory_bytes
        needed = self._costs.traced.cut(order.cut).training_memory_bytes(order.batch)
        if needed > limit:
            raise ProgramError(f"the program needs {needed} bytes, this board has {limit}")

    def _spend(self, step: int, part: Part, share: float) -> float:
        order = self._order
        assert order is not None
        step_s = self._costs.board_step_s(self._emulation, order.cut, order.batch)
        slower = value_at(self._slowdown, self._clock.now(), before=1.0) * self._pace.times
        spent_s = step_s * slower * share / order.micro_batches
        parts = self._steps.setdefault(step, {"forward": 0.0, "backward": 0.0})
        parts[part] += spent_s
        self._ledger.of(self._device).compute_s += spent_s
        return spent_s

    def _report(self) -> DeviceReport:
        if not self._steps:
            return DeviceReport()
        steps = self._steps.values()
        quantiles = np.quantile([sum(parts.values()) for parts in steps], [0.5, 0.9, 1.0])
        return DeviceReport(
            step=StepTimes(*quantiles.tolist()),
            forward_s=median(parts["forward"] for parts in steps),
            backward_s=median(parts["backward"] for parts in steps),
        )
