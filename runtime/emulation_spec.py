"""How a fast machine plays a slow board: its speed and its link, as the user states them."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import field, frozen
from attrs.validators import optional

from runtime.config_rules import above
from runtime.config_walk import Fault

TRAINING_FACTOR = 3.0
"""A training step costs about three forward passes: its own, input and weight gradients."""


@frozen
class Emulation:
    """The board to emulate; what is None is not slowed down.

    `gflops` is the effective rate at which the board trains, in 1e9 operations a second;
    `step_s` instead fixes the time of every local step. Link rates are in 1e6 bits a second.
    """

    gflops: float | None = field(default=None, validator=optional(above(0)))
    step_s: float | None = field(default=None, validator=optional(above(0)))
    uplink_mbps: float | None = field(default=None, validator=optional(above(0)))
    downlink_mbps: float | None = field(default=None, validator=optional(above(0)))

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
