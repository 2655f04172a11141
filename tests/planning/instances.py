"""Random fleets to plan for, every kind of constraint active in some of them."""

from __future__ import annotations

import math

import numpy as np
from attrs import evolve

from coordinator.planning.demand import StaticShares
from coordinator.planning.problem import DeviceProblem, Option, Problem
from coordinator.planning.tables import tabulate
from runtime.ids import DeviceId
from runtime.program import Codec

_CODECS: tuple[tuple[Codec, float], ...] = (("fp32", 4.0), ("fp16", 2.0), ("int8", 1.0))
_MB = 1e6


def random_problem(
    rng: np.random.Generator, devices: int, cuts: int, *, codecs: int = 1, whole: bool = True
) -> Problem:
    """Returns a fleet whose boards differ 20-fold in speed, some limits present, some tight."""
    load_s = float(rng.choice([0.003, 0.03, 0.3, 10.0]))
    fleet = tuple(_device(rng, index, cuts, codecs, whole) for index in range(devices))
    fleet = tuple(_served(device, load_s) for device in fleet)
    replicas = [_fitting_replicas(device) for device in fleet]
    least, most = sum(map(min, replicas)), sum(map(max, replicas))
    return Problem(
        devices=fleet,
        local_steps=int(rng.integers(1, 30)),
        uplink_bytes_per_s=_budget(rng, devices),
        downlink_bytes_per_s=_budget(rng, devices),
        server_workers=int(rng.integers(1, 3)),
        server_memory_bytes=_maybe(rng, least + rng.uniform(0.05, 1) * (most - least)),
    )


def binding_problem(
    rng: np.random.Generator, devices: int, cuts: int, *, codecs: int = 1
) -> Problem:
    """Returns a fleet that every limit binds: up, down, the server's workers and its memory.

    The limits are about what devices would take at random prices by a random deadline.
    """
    problem = random_problem(rng, devices, cuts, codecs=codecs, whole=False)
    problem = evolve(problem, server_workers=1, server_memory_bytes=None)
    problem = evolve(problem, uplink_bytes_per_s=None, downlink_bytes_per_s=None)
    tables = tabulate(problem)
    deadline_s = float(tables.path_s.min(axis=1).max()) * rng.uniform(1.2, 4)
    fastest = tables.choose(tables.path_s.argmin(axis=1))
    rates = np.stack([fastest.up_bytes, fastest.down_bytes, fastest.work_s]) / deadline_s
    scale = np.array([*rates.sum(axis=(1, 2)), fastest.memory_bytes.sum()])
    demand = StaticShares(evolve(tables, limits=scale))
    taken = demand.answer(rng.dirichlet(np.ones(4)), deadline_s).use
    up, down, workers, memory = (taken * scale * rng.uniform(0.97, 1.03, 4)).tolist()
    return evolve(
        problem,
        uplink_bytes_per_s=up,
        downlink_bytes_per_s=down,
        server_workers=math.ceil(workers),
        server_memory_bytes=memory,
    )


def _served(device: DeviceProblem, load_s: float) -> DeviceProblem:
    """Returns the device for a server that takes `load_s` where this one takes 1 s."""
    options = tuple(evolve(option, server_s=load_s * option.server_s) for option in device.options)
    return evolve(device, options=options)


def _fitting_replicas(device: DeviceProblem) -> list[float]:
    return [
        option.replica_memory_bytes
        for option in device.options
        if option.device_memory_bytes <= device.memory_bytes
    ]


def _device(
    rng: np.random.Generator, index: int, cuts: int, codecs: int, whole: bool
) -> DeviceProblem:
    slowness = math.exp(rng.uniform(0, 3))
    depths = np.sort(rng.uniform(0, 1, cuts))
    options = [
        _option(rng, f"layer{cut}", slowness, float(depth), codec)
        for cut, depth in enumerate(depths)
        for codec in _CODECS[:codecs]
    ]
    if whole:
        options.append(_whole(slowness))
    memory = [option.device_memory_bytes for option in options]
    return DeviceProblem(
        id=DeviceId(f"board-{index:04}"),
        options=tuple(options),
        uplink_bytes_per_s=_MB * math.exp(rng.uniform(-2, 2)),
        downlink_bytes_per_s=_MB * math.exp(rng.uniform(-1, 3)),
        memory_bytes=float(rng.uniform(min(memory), 1.5 * max(memory))),
    )


def _option(
    rng: np.random.Generator, cut: str, slowness: float, depth: float, codec: tuple[Codec, float]
) -> Option:
    name, bytes_per_value = codec
    up = 1e5 * bytes_per_value * rng.uniform(0.2, 3) * (1.1 - depth)
    return Option(
        cut=cut,
        codec_up=name,
        codec_down=name,
        forward_s=0.02 * slowness * depth * rng.uniform(0.8, 1.2),
        backward_s=0.04 * slowness * depth * rng.uniform(0.8, 1.2),
        server_s=(1 - depth) * math.exp(rng.uniform(-2, 1)),
        up_bytes=up,
        down_bytes=up * math.exp(rng.normal(0, 1)),
        state_bytes=4e6 * depth**2 * rng.uniform(0.5, 1),
        device_memory_bytes=50 * _MB * (depth + 0.2) * rng.uniform(0.5, 1),
        replica_memory_bytes=100 * _MB * (1.1 - depth) * rng.uniform(0.5, 1),
    )


def _whole(slowness: float) -> Option:
    return Option(
        cut="whole",
        codec_up="fp32",
        codec_down="fp32",
        forward_s=0.025 * slowness,
        backward_s=0.05 * slowness,
        server_s=0.0,
        up_bytes=0.0,
        down_bytes=0.0,
        state_bytes=5e6,
        device_memory_bytes=60 * _MB,
        replica_memory_bytes=0.0,
    )


def _budget(rng: np.random.Generator, devices: int) -> float | None:
    return _maybe(rng, devices * _MB * math.exp(rng.uniform(-2.5, 0.5)))


def _maybe(rng: np.random.Generator, value: float) -> float | None:
    return float(value) if rng.random() < 0.75 else None
