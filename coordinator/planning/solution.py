"""What a planner answers, and the seam behind which planners stand."""

from __future__ import annotations

from typing import ClassVar, Literal, Protocol

from attrs import frozen

from coordinator.planning.problem import Option, Problem, Rates, RoundTerms
from runtime.ids import DeviceId

Sharing = Literal["static", "lent", "turns"]
"""How devices share the links: at fixed rates, at rates that lend, or one after the other."""

_TIE = 1e-6


@frozen
class DevicePlan:
    """One device's option and rates, and where the time of its round goes."""

    device: DeviceId
    option: Option
    rates: Rates
    terms: RoundTerms


NOT_HERE = "it is not here"
"""Why a device is left out that is absent, lost or gone; plan logs hold it."""


@frozen
class LeftOut:
    """A device that takes no part, and why."""

    device: DeviceId
    reason: str


@frozen
class Solution:
    """A plan that keeps to every limit, in the order of the problem's devices.

    Attributes:
        round_s: predicted time; that of the slowest device, or of the server's queue if longer.
            With sharing by turns, the sum over devices.
        queue_s: the server's work of the round divided by its workers.
        static_bound_s: no plan with static shares takes less.
        free_bound_s: no plan takes less, however links are shared: the longest path of a device
            alone on its link, the bytes of a direction over its budget, the server's work.
        own_free_bound_s: the same for the options that this plan chose.
    """

    planner: str
    sharing: Sharing
    devices: tuple[DevicePlan, ...]
    round_s: float
    queue_s: float
    static_bound_s: float
    free_bound_s: float
    own_free_bound_s: float
    left_out: tuple[LeftOut, ...] = ()

    @property
    def gap(self) -> float:
        """How much longer than the static bound the round takes, as a fraction of the bound."""
        return max(0.0, self.round_s / self.static_bound_s - 1)

    @property
    def bottleneck(self) -> DeviceId | None:
        """The slowest device, of equals the one that holds most bandwidth; None is the server."""
        slowest_s = max(plan.terms.total_s for plan in self.devices)
        if self.sharing == "static" and slowest_s < self.queue_s * (1 - _TIE):
            return None
        slow = [p for p in self.devices if p.terms.total_s >= slowest_s * (1 - _TIE)]
        return max(slow, key=lambda p: p.rates.up_bytes_per_s + p.rates.down_bytes_per_s).device


@frozen
class Infeasible:
    """There is no plan: why, and what would make one possible."""

    planner: str
    reason: str
    remedy: str
    left_out: tuple[LeftOut, ...] = ()


class Solver(Protocol):
    """Plans a round. A function of the problem alone."""

    name: ClassVar[str]

    def solve(self, problem: Problem) -> Solution | Infeasible: ...
