"""The executor's twin that computes nothing: its weights are a chain of what it consumed."""

from __future__ import annotations

import hashlib
from typing import Any

from device_agent.tasks import Backward, Begin, FindProgram, Finish, Forward, StoreProgram, Trained
from runtime.chain import link, unwrap, wrap
from runtime.errors import ProgramError
from runtime.ids import DeviceId
from runtime.letters import DeviceReport, RoundOrder, Tensors
from runtime.order import samples


class NullExecutor:
    """Stands for a board with `held_samples` samples and `step_s` of compute per local step.

    `flash` outlives the process: programs are kept there by digest.
    """

    def __init__(
        self,
        device: DeviceId,
        held_samples: int,
        flash: dict[str, bytes],
        *,
        step_s: float = 0.01,
    ) -> None:
        self._device = device
        self._held_samples = held_samples
        self._flash = flash
        self._step_s = step_s
        self._order: RoundOrder | None = None
        self._chain = b""
        self._trained_samples = 0

    def modelled_s(self, task: Any) -> float:
        return self._step_s / 2 if isinstance(task, Forward | Backward) else 0.0

    def run(self, task: Any) -> Any:
        match task:
            case FindProgram(digest):
                return digest in self._flash
            case StoreProgram(digest, body):
                if hashlib.sha256(body).hexdigest() != digest:
                    raise ProgramError(f"the program is not {digest}")
                self._flash[digest] = body
                return None
            case Begin(order):
                self._order, self._chain = order, unwrap(order.tensors)
                self._trained_samples = 0
                return None
            case Forward(_, step):
                return self._forward(step)
            case Backward(tensors=tensors):
                if tensors is not None:
                    self._chain = link(self._chain, unwrap(tensors))
                return None
            case Finish():
                half_s = self._step_s / 2
                report = DeviceReport(forward_s=half_s, backward_s=half_s)
                return Trained(self._trained_samples, wrap(self._chain), report)

    def _forward(self, step: int) -> Tensors:
        order = self._order
        assert order is not None
        start = order.position + step * order.batch
        chosen = samples(order.recipe.seed, self._device, self._held_samples, start, order.batch)
        self._trained_samples += order.batch
        self._chain = link(self._chain, chosen.tobytes())
        return wrap(self._chain)
