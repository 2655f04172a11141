"""A planner's problem from priors alone: what the fleet file and board cards state of each board.

Nothing here is measured: where it matters, profiles of real steps take the place of these numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import evolve, field, frozen

from coordinator.cut_codecs import CutCodecs, cut_codecs
from coordinator.cutting.segments import Segment
from coordinator.cutting.traced_model import FLOAT32_BYTES, Cut, TracedModel
from coordinator.equipment import AGENT_BYTES
from coordinator.fleet import Device, Fleet
from coordinator.job import CodecFloor, CodecName, Job
from coordinator.planning.cut_costs import ModelSize, StepShape, cut_costs
from coordinator.planning.problem import DeviceProblem, Option, Problem
from runtime import errors
from runtime.emulation_spec import TRAINING_FACTOR
from runtime.ids import DeviceId
from runtime.optimisers import Optimiser

_FINEST_FIRST: tuple[CodecName, ...] = ("fp32", "fp16", "int8")
_SMALL_CLASSES = 2**8
_BYTES_PER_MEGABIT = 1e6 / 8
_MB = 1e6


@frozen
class Priors:
    """What is assumed beside job and fleet; budgets in bytes/s, None is no shared limit.

    `server_gflops` is the rate of one worker, in 1e9 operations a second. A device that is not
    in `memory_bytes` is taken to have enough.
    """

    server_gflops: float
    uplink_bytes_per_s: float | None = None
    downlink_bytes_per_s: float | None = None
    memory_bytes: Mapping[DeviceId, float] = field(factory=dict)


def gaps(fleet: Fleet, path: Path, *, carded: bool = True) -> Iterator[errors.Problem]:
    """Yields what neither the fleet file nor a card states: it is not guessed.

    `carded` False passes over the devices that name a card.
    """
    for number, device in enumerate(fleet.devices):
        for name, message in _unstated(device) if carded or device.board is None else ():
            fix = f"write emulate.{name} = ..., or name a board card: board = '...'"
            yield errors.Problem(str(path), f"device[{number}].emulate.{name}", message, fix)


def build_problem(job: Job, fleet: Fleet, traced: TracedModel, priors: Priors) -> Problem:
    """Returns the round to plan: every legal cut of every device, with the job's codecs.

    Every device has a speed and links: `gaps` yields nothing. Raises ModelError for a minimum
    cut or a codec floor at a cut that the model does not have.
    """
    memory_mb, size = job.server.memory_mb, _model_size(job, traced)
    problem = Problem(
        devices=tuple(_device(job, device, traced, size, priors) for device in fleet.devices),
        local_steps=job.training.local_steps,
        uplink_bytes_per_s=priors.uplink_bytes_per_s,
        downlink_bytes_per_s=priors.downlink_bytes_per_s,
        server_workers=job.server.workers,
        server_memory_bytes=None if memory_mb is None else memory_mb * _MB,
    )
    return with_whole_model(problem, job, fleet, traced) if job.cuts.whole else problem


def with_whole_model(problem: Problem, job: Job, fleet: Fleet, traced: TracedModel) -> Problem:
    """Returns the problem with the option for each device to train everything itself.

    A model that cannot be trained whole leaves the problem as it is.
    """
    size = _model_size(job, traced)
    devices = []
    for one in problem.devices:
        cuts = tuple(option for option in one.options if not option.is_whole_model)
        whole = _whole(job, fleet.device(one.id), traced, size)
        devices.append(evolve(one, options=(*cuts, *whole)))
    return evolve(problem, devices=tuple(devices))


def with_cuts_of(problem: Problem, fleet: Fleet, traced: TracedModel) -> Problem:
    """Returns the problem with only the cut that the fleet file names for the first round.

    `problem` has the option to train the whole model, which a device without a cut does not keep;
    it keeps all others. Raises ModelError for a cut that the model does not have.
    """
    devices = []
    for one in problem.devices:
        named = fleet.device(one.id)
        cut = traced.cut(named.cut_at(1)).name if named.cut or named.cuts else None
        kept = tuple(
            option
            for option in one.options
            if option.cut == cut or (cut is None and not option.is_whole_model)
        )
        devices.append(evolve(one, options=kept))
    return evolve(problem, devices=tuple(devices))


def with_coarser_codecs(job: Job) -> Job | None:
    """Returns the job with the next coarser codec each way; None if there is none."""
    codec = job.codec
    floors = tuple(_with_coarser(one) for one in codec.floors)
    changed = evolve(codec, up=_coarser(codec.up), down=_coarser(codec.down), floors=floors)
    return None if changed == codec else evolve(job, codec=changed)


def bytes_per_s(mbps: float) -> float:
    """Returns a rate given in 1e6 bits a second."""
    return mbps * _BYTES_PER_MEGABIT


def _unstated(device: Device) -> Iterator[tuple[str, str]]:
    emulate = device.emulate
    if emulate.gflops is None and emulate.step_s is None:
        yield "gflops", f"nothing says how fast {device.id} computes"
    if emulate.uplink_mbps is None:
        yield "uplink_mbps", f"nothing says how fast {device.id} sends"
    if emulate.downlink_mbps is None:
        yield "downlink_mbps", f"nothing says how fast {device.id} receives"


def _device(
    job: Job, device: Device, traced: TracedModel, size: ModelSize, priors: Priors
) -> DeviceProblem:
    up, down = device.emulate.uplink_mbps, device.emulate.downlink_mbps
    assert up is not None  # the caller has refused gaps
    assert down is not None
    return DeviceProblem(
        id=DeviceId(device.id),
        options=_options(job, device, traced, size, priors.server_gflops),
        uplink_bytes_per_s=bytes_per_s(up),
        downlink_bytes_per_s=bytes_per_s(down),
        memory_bytes=priors.memory_bytes.get(DeviceId(device.id), math.inf),
    )


def _options(
    job: Job, device: Device, traced: TracedModel, size: ModelSize, server_gflops: float
) -> tuple[Option, ...]:
    minimum = job.cuts.minimum
    first = traced.cuts.index(traced.cut(minimum)) if minimum else 0
    codecs = cut_codecs(job.codec, traced)
    return tuple(
        _option(cut, job, device, size, codecs, _server_s(traced, cut, server_gflops))
        for cut in traced.cuts[first:]
    )


def _option(
    cut: Cut, job: Job, device: Device, size: ModelSize, codecs: CutCodecs, sample_s: float
) -> Option:
    """Returns an option, where the server takes `sample_s` for a sample."""
    batch = device.batch or job.training.batch
    labels_bytes = batch * (1 if job.input.classes <= _SMALL_CLASSES else 2)
    costs = cut_costs(cut, codecs, size, StepShape(batch, labels_bytes), AGENT_BYTES)
    return costs.option(*_step_s(device, cut.device_flops_per_sample * batch), sample_s * batch)


def _server_s(traced: TracedModel, cut: Cut, gflops: float) -> float:
    """Returns the server's time for a sample at a cut."""
    flops = traced.flops_per_sample - cut.device_flops_per_sample
    return flops * TRAINING_FACTOR / (gflops * 1e9)


def _step_s(device: Device, flops: float) -> tuple[float, float]:
    """Returns the time of forward and of backward with the optimiser."""
    step_s = device.emulate.step_time_s(flops)
    forward_s = step_s / TRAINING_FACTOR
    return forward_s, step_s - forward_s


def _model_size(job: Job, traced: TracedModel) -> ModelSize:
    split = traced.split(traced.cuts[-1].name)
    return ModelSize(
        parameter_bytes=FLOAT32_BYTES * traced.parameters,
        buffer_bytes=_buffer_bytes(split.device) + _buffer_bytes(split.server),
        optimiser_slots=len(Optimiser(job.optimiser).slot_names),
    )


def _buffer_bytes(segment: Segment) -> int:
    return sum(one.numel() * one.element_size() for one in segment.buffers())


def _whole(job: Job, device: Device, traced: TracedModel, size: ModelSize) -> Iterator[Option]:
    if traced.whole is not None:
        yield _option(traced.whole, job, device, size, cut_codecs(job.codec, traced), 0.0)


def _with_coarser(floor: CodecFloor) -> CodecFloor:
    up, down = floor.up and _coarser(floor.up), floor.down and _coarser(floor.down)
    return evolve(floor, up=up, down=down)


def _coarser(codec: CodecName) -> CodecName:
    return _FINEST_FIRST[min(_FINEST_FIRST.index(codec) + 1, len(_FINEST_FIRST) - 1)]
