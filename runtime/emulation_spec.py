"""How a fast machine plays a slow board: its speed and its link, as the user states them."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve, field, frozen
from attrs.validators import optional

from runtime.config_rules import above
from runtime.config_walk import Fault
from runtime.presence import Limits

TRAINING_FACTOR = 3.0
"""A training step costs about three forward passes: its own, input and weight gradients."""

_BYTES_PER_MEGABIT = 1e6 / 8
_BYTES_PER_MB = 1e6


@frozen
class Emulation:
    """The board to emulate; what is None is not slowed down.

    `gflops` is the effective rate at which the board trains, in 1e9 operations a second;
    `step_s` instead fixes the time of every local step. Link rates are in 1e6 bits a second,
    and `memory_mb` is what the board has for a segment program, in 1e6 bytes.
    """

    gflops: float | None = field(default=None, validator=optional(above(0)))
    step_s: float | None = field(default=None, validator=optional(above(0)))
    uplink_mbps: float | None = field(default=None, validator=optional(above(0)))
    downlink_mbps: float | None = field(default=None, validator=optional(above(0)))
    memory_mb: float | None = field(default=None, validator=optional(above(0)))

    @property
    def rates(self) -> tuple[float | None, float | None]:
        """Bytes a second up and down; None is no limit."""
        return _bytes_per_s(self.uplink_mbps), _bytes_per_s(self.downlink_mbps)

    def within(self, limits: Limits) -> Limits:
        """Returns the limits of an agent that plays this board."""
        own = self.instead_of(limits)
        return evolve(own, memory_bytes=min(own.memory_bytes, limits.memory_bytes))

    def instead_of(self, limits: Limits) -> Limits:
        """Returns the limits of a board that is wholly modelled: no agent file holds it down."""
        if self.memory_mb is None:
            return limits
        return evolve(limits, memory_bytes=int(self.memory_mb * _BYTES_PER_MB))

    def step_time_s(self, forward_flops: float) -> float:
        """Returns the seconds that one local step of the board takes, 0 if it is not emulated.

        `forward_flops` counts the forward pass of the device segment over one batch.
        """
        if self.step_s is not None:
            return self.step_s
        if self.gflops is None:
            return 0.0
        return forward_flops * TRAINING_FACTOR / (self.gflops * 1e9)

    def faults(self) -> Iterator[Fault]:
        """Yields the clash of two statements about one speed."""
        if self.gflops is not None and self.step_s is not None:
            yield Fault("step_s", "gflops already says how fast the board is", "keep one of them")


def _bytes_per_s(rate_mbps: float | None) -> float | None:
    return None if rate_mbps is None else rate_mbps * _BYTES_PER_MEGABIT
