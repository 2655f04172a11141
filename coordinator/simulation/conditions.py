"""The conditions file: links as they are, what happens to them, and boards that slow down.

The fleet file says how fast boards and their links are; this file says what it leaves out. All
times count from the start of the simulation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from attrs import field, frozen
from attrs.validators import optional

from coordinator.fleet import Device, Fleet
from runtime.config_rules import above, at_least, legal_id
from runtime.config_walk import Fault
from runtime.errors import Problem
from runtime.transport.link_model import Line, Link, Trace

_BYTES_PER_MEGABIT = 1e6 / 8
_MOST_LOSS = 0.5


@frozen
class RateFrom:
    """A rate in 1e6 bits a second that holds from a time on."""

    from_s: float = field(validator=at_least(0))
    mbps: float = field(validator=above(0))


@frozen
class SlowFrom:
    """A board that takes `times` as long for its steps from a time on; 1 is its usual speed."""

    from_s: float = field(validator=at_least(0))
    times: float = field(validator=above(0))


@frozen
class Outage:
    """A connection that is lost at a time and comes back after `for_s`."""

    from_s: float = field(validator=at_least(0))
    for_s: float = field(validator=above(0))


@frozen
class Shared:
    """[shared]: the link between broker and coordinator, which all boards share.

    Directions are those of the boards: `uplink_mbps` is what all of them together can send. With
    `paced` the coordinator knows the rates and shares them out by the plan's weights; without,
    weights count as far as what waits in the link divides by them.
    """

    uplink_mbps: float | None = field(default=None, validator=optional(above(0)))
    downlink_mbps: float | None = field(default=None, validator=optional(above(0)))
    delay_ms: float = field(default=0.0, validator=at_least(0))
    paced: bool = True
    outages: tuple[Outage, ...] = ()

    def faults(self) -> Iterator[Fault]:
        """Yields outages that overlap."""
        yield from _overlaps(self.outages)

    @property
    def rates(self) -> tuple[float | None, float | None]:
        """Bytes a second of both directions together, up and down; None is no limit."""
        return _bytes_per_s(self.uplink_mbps), _bytes_per_s(self.downlink_mbps)

    def link(self) -> Link:
        """Returns the link as the coordinator sees it, whose way down is the boards' way up."""
        delay_s = self.delay_ms / 1e3
        up, down = (Line(_from_start(rate), delay_s) for rate in self.rates)
        return Link(up=down, down=up)


@frozen
class BoardConditions:
    """[[board]]: what is peculiar to a board. `delay_ms` is one way; `loss` the share of packets.

    `uplink` and `downlink` replace the rates of the fleet file from their first entry on.
    """

    id: str = field(validator=legal_id)
    delay_ms: float = field(default=0.0, validator=at_least(0))
    jitter_ms: float = field(default=0.0, validator=at_least(0))
    loss: float = field(default=0.0, validator=at_least(0))
    uplink: tuple[RateFrom, ...] = ()
    downlink: tuple[RateFrom, ...] = ()
    compute: tuple[SlowFrom, ...] = ()
    outages: tuple[Outage, ...] = ()

    def faults(self) -> Iterator[Fault]:
        """Yields times that do not rise, outages that overlap, and loss that ends all traffic."""
        for name in ("uplink", "downlink", "compute"):
            entries: Sequence[RateFrom | SlowFrom] = getattr(self, name)
            for index, (before, after) in enumerate(pairwise(entries), start=1):
                if after.from_s <= before.from_s:
                    fix = f"write more than {before.from_s}"
                    yield Fault(f"{name}[{index}].from_s", "the times do not rise", fix)
        yield from _overlaps(self.outages)
        if self.loss > _MOST_LOSS:
            yield Fault("loss", f"{self.loss} of all packets is no link", f"at most {_MOST_LOSS}")

    @property
    def slowdown(self) -> Trace:
        """By how much steps take longer, over time."""
        return tuple((one.from_s, one.times) for one in self.compute)


@frozen
class Conditions:
    """A whole conditions file."""

    shared: Shared = field(factory=Shared)
    boards: tuple[BoardConditions, ...] = field(default=(), alias="board")

    def of(self, device: str) -> BoardConditions:
        """Returns a device's conditions: the last entry of its name, or a perfect link."""
        return {one.id: one for one in self.boards}.get(device, BoardConditions(device))

    def link(self, device: Device, seed: int) -> Link:
        """Returns the device's link with the rates of the fleet file, as the board sees it."""
        own = self.of(device.id)
        quality = (own.delay_ms / 1e3, own.jitter_ms / 1e3, own.loss)
        up = _trace(device.emulate.uplink_mbps, own.uplink)
        down = _trace(device.emulate.downlink_mbps, own.downlink)
        return Link(Line(up, *quality), Line(down, *quality), f"{seed} {device.id}")

    def strangers(self, path: str, fleet: Fleet) -> list[Problem]:
        """Returns the boards that are not in the fleet."""
        return [
            Problem(path, f"board[{number}].id", f"fleet {fleet.name} has no {one.id!r}", "correct")
            for number, one in enumerate(self.boards)
            if one.id not in fleet.ids
        ]


def _trace(usual_mbps: float | None, changes: Sequence[RateFrom]) -> Trace:
    trace = tuple((one.from_s, one.mbps * _BYTES_PER_MEGABIT) for one in changes)
    if trace and trace[0][0] == 0.0:
        return trace
    usual = _from_start(_bytes_per_s(usual_mbps))
    return (*(usual or ((0.0, float("inf")),)), *trace) if trace else usual


def _from_start(rate_bytes_per_s: float | None) -> Trace:
    return () if rate_bytes_per_s is None else ((0.0, rate_bytes_per_s),)


def _bytes_per_s(mbps: float | None) -> float | None:
    return None if mbps is None else mbps * _BYTES_PER_MEGABIT


def _overlaps(outages: Sequence[Outage]) -> Iterator[Fault]:
    for index, (before, after) in enumerate(pairwise(outages), start=1):
        end_s = before.from_s + before.for_s
        if after.from_s <= end_s:
            fix = f"begin after {end_s:g}"
            yield Fault(f"outages[{index}].from_s", "the one before is not over", fix)
