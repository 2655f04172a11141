"""What is known of one board in one configuration.

A card is a prior and a sanity bound: an agent measures its board when it starts, and a planner
uses that. What nobody has measured or stated is absent, so that it has to be measured.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from typing import Any, Literal

import attrs
from attrs import field, frozen

from firmware_profiles.errors import Refused
from firmware_profiles.figure import Figure, positive, said, unit_of

Status = Literal["supported", "community", "eol"]
NetworkKind = Literal["ethernet", "wifi"]
InitFormat = Literal["none", "systemd", "cloudinit", "cloudinit-rpi", "rpi-preseed"]

BYTES_PER_MIB = 1024 * 1024


def _legal_id(_instance: Any, _attribute: Any, value: str) -> None:
    if not re.fullmatch("[a-z0-9-]{1,48}", value):
        raise Refused(f"{value!r} cannot be an id", "write 1 to 48 of a-z, 0-9 and '-'")


def _filled(_instance: Any, _attribute: Any, value: tuple[Any, ...]) -> None:
    if not value:
        raise Refused("it is empty", "write at least one entry")


@frozen
class Cluster:
    """Cores of one kind.

    `isa_flags` are the flags of lscpu that numeric code asks for; None where nobody looked.
    """

    core: str = field(validator=said)
    count: int = field(validator=positive)
    max_mhz: Figure | None = None
    isa_flags: tuple[str, ...] | None = None


@frozen
class Cpu:
    """The processor; `source` and `date` say who looked at cores and flags, and when."""

    arch: str = field(validator=said)
    clusters: tuple[Cluster, ...] = field(validator=_filled)
    source: str = field(validator=said)
    date: datetime.date

    @property
    def fp16_arith(self) -> bool | None:
        """Whether all cores calculate with vectors of halves; None if not known."""
        return self._all_have("asimdhp")

    @property
    def dotprod(self) -> bool | None:
        """Whether all cores have the int8 dot product; None if not known."""
        return self._all_have("asimddp")

    def _all_have(self, flag: str) -> bool | None:
        flags = [one.isa_flags for one in self.clusters if one.isa_flags is not None]
        return all(flag in one for one in flags) if len(flags) == len(self.clusters) else None


@frozen
class Memory:
    """Sizes in MiB; where a board is sold in several sizes, `total_mib` is a range."""

    type: str | None = None
    total_mib: Figure | None = None
    usable_mib: Figure | None = None
    peak_gb_per_s: Figure | None = None
    memcpy_mb_per_s: Figure | None = None
    memset_mb_per_s: Figure | None = None
    stream_copy_mb_per_s: Figure | None = None


@frozen
class Accelerator:
    """Something beside the CPU. It takes no part in training unless `trains` says so."""

    kind: Literal["gpu", "npu", "tpu"]
    runtime: str = field(validator=said)
    trains: bool = False
    fp16_effective_gflops: Figure | None = None


@frozen
class Network:
    """One interface; `bottleneck` names what holds it below its nominal rate."""

    kind: NetworkKind
    standard: str | None = None
    nominal_mbps: Figure | None = None
    measured_mbps: Figure | None = None
    bottleneck: str | None = None


@frozen
class Compute:
    """Rates of all cores together. `effective` ones are those of a convolutional network."""

    fp64_hpl_gflops: Figure | None = None
    fp32_effective_gflops: Figure | None = None
    fp16_effective_gflops: Figure | None = None
    int8_effective_gops: Figure | None = None


@frozen
class Power:
    """Idle, under a stress test and under HPL, taken at the wall or at a rail of the board."""

    at: Literal["wall", "rail"] | None = None
    idle_w: Figure | None = None
    load_w: Figure | None = None
    hpl_w: Figure | None = None
    modes_w: tuple[Figure, ...] = ()


@frozen
class Thermal:
    """Where the firmware slows down (`soft_c`, `hard_c`), to what, and what cools the board."""

    cooling: str | None = None
    soft_c: Figure | None = None
    hard_c: Figure | None = None
    throttled_mhz: Figure | None = None
    load_c: Figure | None = None
    sustained_factor: Figure | None = None


@frozen
class OperatingSystem:
    """A system that the board boots; `wheel_platforms` in the order in which pip tries them."""

    image: str = field(validator=said)
    python_tag: str = field(validator=said)
    source: str = field(validator=said)
    date: datetime.date
    libc: str | None = None
    wheel_platforms: tuple[str, ...] = ()
    init_format: InitFormat | None = None


@frozen
class SmokeTest:
    """Versions of onnxruntime that ran fp32 and int8 sessions, and on what."""

    versions: tuple[str, ...] = field(validator=_filled)
    on: str = field(validator=said)
    source: str = field(validator=said)
    date: datetime.date


@frozen
class OnnxRuntime:
    """What may be installed. A provider counts only where a session of it has run."""

    requires: str = field(validator=said)
    excluded: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    smoke_tested: tuple[SmokeTest, ...] = ()


@frozen
class BoardCard:
    """A whole card. `compatible` are device-tree names of which one must match exactly."""

    id: str = field(validator=_legal_id)
    name: str = field(validator=said)
    status: Status
    cpu: Cpu
    maintainer: str | None = None
    compatible: tuple[str, ...] = ()
    memory: Memory = field(factory=Memory)
    accelerator: Accelerator | None = None
    network: tuple[Network, ...] = ()
    compute: Compute = field(factory=Compute)
    power: Power = field(factory=Power)
    thermal: Thermal = field(factory=Thermal)
    os: tuple[OperatingSystem, ...] = ()
    onnxruntime: OnnxRuntime | None = None

    def fp32_prior_gflops(self) -> Figure | None:
        """Returns the rate of a network in float32; right to a factor of two at best.

        Where nobody measured one, it is twice the rate of HPL in float64, which is an upper
        bound: the vectors hold twice as many numbers, and no layer runs like HPL.
        """
        measured, hpl = self.compute.fp32_effective_gflops, self.compute.fp64_hpl_gflops
        if measured is not None or hpl is None:
            return measured
        return hpl.times(2, "GFLOPS", f"an upper bound: twice the fp64 rate of: {hpl.how}")

    def usable_memory_bytes(self) -> Figure | None:
        """Returns what the system leaves to programs, in bytes."""
        usable = self.memory.usable_mib
        return usable and usable.times(BYTES_PER_MIB, "B", usable.how)

    def link_mbps(self, kind: NetworkKind | None = None) -> Figure | None:
        """Returns the rate of the fastest interface (of that kind), in 1e6 bits a second.

        A measured rate goes before every nominal one.
        """
        links = [one for one in self.network if kind in (None, one.kind)]
        measured = [one.measured_mbps for one in links if one.measured_mbps is not None]
        nominal = [one.nominal_mbps for one in links if one.nominal_mbps is not None]
        return max(measured or nominal, key=lambda rate: rate.value, default=None)

    def gaps(self) -> tuple[str, ...]:
        """Returns what a planner needs and has to measure, as nobody has published it."""
        known = {
            "fp32 rate": self.compute.fp32_effective_gflops,
            "usable memory": self.memory.usable_mib,
            "link rate": next((one for one in self.network if one.measured_mbps), None),
        }
        return tuple(need for need, found in known.items() if found is None)

    def figures(self) -> Iterator[tuple[str, Figure | None]]:
        """Yields the dotted key and the figure of every place for one, None where it is not."""
        return _figures(self, "")


def _figures(value: Any, path: str) -> Iterator[tuple[str, Figure | None]]:
    for one in attrs.fields(type(value)):
        inner, key = getattr(value, one.name), f"{path}{one.name}"
        if unit_of(one.name) and not isinstance(inner, tuple):
            yield key, inner
        elif isinstance(inner, tuple):
            for index, item in enumerate(inner):
                if isinstance(item, Figure):
                    yield f"{key}[{index}]", item
                elif attrs.has(type(item)):
                    yield from _figures(item, f"{key}[{index}].")
        elif attrs.has(type(inner)):
            yield from _figures(inner, f"{key}.")
