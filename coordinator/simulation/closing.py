"""What closing a round takes the coordinator: averaging, evaluation, checkpoint.

Either from rates that were measured once, so that simulations agree between machines, or from
what this machine takes now.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch
from attrs import frozen

from coordinator.cut_codecs import cut_codecs
from coordinator.cutting.traced_model import FLOAT32_BYTES
from coordinator.fleet import Device, Fleet
from coordinator.job import Job
from coordinator.learning.training import CoordinatorExecutor
from coordinator.simulation.costs import Costs
from coordinator.simulation.world import Cast
from coordinator.tasks import CloseRound, Collect, Prepare
from runtime.dataset import open_source
from runtime.errors import DataError
from runtime.executor import Executor
from runtime.ids import DeviceId
from runtime.letters import AttemptKey
from runtime.optimisers import Optimiser

_EVALUATION_SHARE = 0.65
"""Forward passes alone reach this part of the rate of training: 26 of 40 GFLOP/s measured with
the small CNN of the zoo, on one thread of an x86-64 core."""
_AVERAGED_BYTES_PER_S = 1.3e9
_CHECKPOINT_BYTES_PER_S = 0.27e9
"""Of layer state with 100 MB, on the same core: copies that are averaged; serialised, hashed and
written."""
_TIMED_ROUNDS = 3
_MOST_COPIES = 8


@frozen
class Closing:
    """A cast whose server takes its time to close a round."""

    inner: Cast
    closing_s: float

    def server(self) -> Executor:
        return _ClosingServer(self.inner.server(), self.closing_s)

    def board(self, device: Device) -> tuple[Executor, int]:
        return self.inner.board(device)


@frozen
class _ClosingServer:
    inner: Executor
    closing_s: float

    def modelled_s(self, task: Any) -> float:
        own_s = self.closing_s if isinstance(task, CloseRound) else 0.0
        return own_s + self.inner.modelled_s(task)

    def run(self, task: Any) -> Any:
        return self.inner.run(task)


def estimated_closing_s(job: Job, fleet: Fleet, costs: Costs) -> float:
    """Returns what closing takes at the server's speed.

    Data for the evaluation that are not there, or not yet, count as none.
    """
    try:
        samples = len(open_source(job.evaluation.source, job.base))
    except DataError:
        samples = 0
    rate = costs.server_gflops * 1e9 * _EVALUATION_SHARE
    evaluation_s = samples * costs.traced.flops_per_sample / rate
    state_bytes = _state_bytes(job, costs.traced.parameters)
    averaging_s = _averaging_s(len(fleet.devices), state_bytes)
    return evaluation_s + averaging_s + state_bytes / _CHECKPOINT_BYTES_PER_S


def measured_closing_s(job: Job, fleet: Fleet) -> float:
    """Closes a few rounds on this machine, with the job's threads. Raises DataError, ModelError.

    Of many devices only a few have copies made of them; the averaging of the others is reckoned.
    """
    evaluation = open_source(job.evaluation.source, job.base)
    fitted = evaluation.fit(job.input.shape, job.input.dtype, job.input.classes)
    names = fleet.ids[:_MOST_COPIES]
    threads = torch.get_num_threads()
    torch.set_num_threads(job.server.threads_per_worker)
    try:
        with tempfile.TemporaryDirectory() as folder:
            executor = CoordinatorExecutor(job, fitted, "timed", Path(folder) / "checkpoint")
            closing_s = median(_closings_s(executor, job, names))
    finally:
        torch.set_num_threads(threads)
    rest = len(fleet.ids) - len(names)
    return closing_s + _averaging_s(rest, _state_bytes(job, executor.traced.parameters))


def _closings_s(
    executor: CoordinatorExecutor, job: Job, names: tuple[DeviceId, ...]
) -> list[float]:
    codecs = cut_codecs(job.codec, executor.traced)
    cut, batch = executor.traced.cuts[0].name, job.training.batch
    lasted_s = []
    for round in range(1, _TIMED_ROUNDS + 1):
        attempt = AttemptKey(round, 1)
        for name in names:
            assignment = codecs.assignment(name, cut, batch)
            prepared = executor.run(Prepare(assignment, attempt))
            executor.run(Collect(name, attempt, batch, prepared.tensors))
        began_s = time.perf_counter()
        executor.run(CloseRound(round, names, ()))
        lasted_s.append(time.perf_counter() - began_s)
    return lasted_s


def _state_bytes(job: Job, parameters: int) -> int:
    slots = len(Optimiser(job.optimiser).slot_names)
    return FLOAT32_BYTES * parameters * (1 + slots)


def _averaging_s(devices: int, state_bytes: int) -> float:
    return devices * state_bytes / _AVERAGED_BYTES_PER_S
