"""How long work takes: operations of the segments over the speed of board and server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import torch
from attrs import frozen

from coordinator.cutting.traced_model import TracedModel
from coordinator.fleet import Fleet
from coordinator.job import Job
from coordinator.learning.objective import build_objective
from coordinator.plan import Assignment
from runtime.emulation_spec import TRAINING_FACTOR, Emulation
from runtime.errors import Problem

DEFAULT_SERVER_GFLOPS = 40.0
"""One thread of an x86-64 core, training the small CNN of the zoo at batch 32: 41 to 48 measured.
A fixed figure, so that simulations agree between machines; measure the server where it counts."""
SERVE_OVERHEAD_S = 0.0007
"""What a server's step takes however small its segment: codecs, dispatch, optimiser; measured
with that CNN cut in front of its last layer."""
_TIMED_STEPS = 5


@frozen
class Costs:
    """Seconds of compute, for the model of a job. `server_gflops` is that of one worker."""

    traced: TracedModel
    server_gflops: float = DEFAULT_SERVER_GFLOPS

    def board_step_s(self, emulation: Emulation, cut: str, batch: int) -> float:
        """Returns how long a local step takes the board: forward, backward and optimiser."""
        return emulation.step_time_s(self.traced.cut(cut).device_flops_per_sample * batch)

    def serve_s(self, assignment: Assignment) -> float:
        """Returns how long the server takes for one micro-batch: forward and backward."""
        if assignment.is_whole_model:
            return 0.0
        whole, front = self.traced.flops_per_sample, self.traced.cut(assignment.cut)
        flops = (whole - front.device_flops_per_sample) * assignment.batch
        seconds = flops * TRAINING_FACTOR / (self.server_gflops * 1e9)
        return seconds / assignment.micro_batches + SERVE_OVERHEAD_S


def speed_problems(fleet: Fleet, path: Path) -> Iterator[Problem]:
    """Yields every device whose speed nobody states: it is not guessed."""
    for number, device in enumerate(fleet.devices):
        if device.emulate.gflops is None and device.emulate.step_s is None:
            yield Problem(
                str(path),
                f"device[{number}].emulate.gflops",
                f"nothing says how fast {device.id} computes",
                "add gflops = ... or step_s = ... to [device.emulate]",
            )


def measured_server_gflops(job: Job, model: torch.nn.Module, traced: TracedModel) -> float:
    """Times training steps of the whole model on this machine, with the job's threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(job.server.threads_per_worker)
    try:
        step_s = median(_step_times(job, model))
    finally:
        torch.set_num_threads(threads)
    flops = traced.flops_per_sample * job.training.batch * TRAINING_FACTOR
    return flops / step_s / 1e9


def _step_times(job: Job, model: torch.nn.Module) -> Iterator[float]:
    dtype = torch.int64 if job.input.dtype == "int64" else torch.float32
    inputs = torch.zeros(job.training.batch, *job.input.shape, dtype=dtype)
    objective = build_objective(job)
    for _ in range(1 + _TIMED_STEPS):
        began_s = time.perf_counter()
        outputs = model(inputs)
        labels = torch.zeros(outputs.shape[:-1], dtype=torch.int64)
        torch.autograd.backward(objective(outputs, labels))
        yield time.perf_counter() - began_s
