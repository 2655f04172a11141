"""How long a cycle, in which every board trains its local steps once, takes in the simulator."""

from __future__ import annotations

from attrs import frozen

from benchmarks.paper.contenders import Contender, Replay, Turns
from benchmarks.paper.performance import perform
from benchmarks.paper.scene import Scene
from coordinator.planning.solution import Solution
from coordinator.record.run_record import Entry


@frozen
class Cycles:
    """The clock of a plan: `first_s` also sends the programs, `later_s` is any other cycle."""

    first_s: float
    later_s: float

    def until(self, cycle: int) -> float:
        """Returns the time from the start to the end of a cycle, which counts from 1."""
        return self.first_s + (cycle - 1) * self.later_s


@frozen
class Timing:
    """A contender on one model and budget.

    `planned_s` is the solver's own prediction, `bound_s` what no plan can beat; `cuts` are those
    of one board of each kind. Bytes are those of all boards in a cycle.
    """

    model: str
    budget_mbps: float
    contender: Contender
    planned_s: float
    bound_s: float
    cuts: tuple[str, ...]
    cycles: Cycles
    bytes_up: int
    bytes_down: int


def time_contender(model: str, scene: Scene, contender: Contender) -> Timing:
    """Solves, and simulates two cycles. Raises ValueError where there is no plan."""
    solution = contender.solve(scene)
    planner = contender.planner(scene, solution)
    rounds = two_cycles(scene, contender, planner)
    first, second = rounds[: planner.rounds_a_cycle], rounds[planner.rounds_a_cycle :]
    return Timing(
        model,
        scene.budget_mbps,
        contender,
        planned_s=solution.round_s,
        bound_s=solution.free_bound_s,
        cuts=_cuts_by_kind(solution),
        cycles=cycles_of(rounds, planner.rounds_a_cycle),
        # The counts of a board rise over the whole run.
        bytes_up=_sum(second, "up_bytes") - _sum(first, "up_bytes"),
        bytes_down=_sum(second, "down_bytes") - _sum(first, "down_bytes"),
    )


def two_cycles(scene: Scene, contender: Contender, planner: Replay | Turns) -> list[Entry]:
    """Returns the record of two cycles of stand-ins that compute nothing."""
    setting = scene.setting(paced=contender.shares != "unpaced")
    return perform(scene.coded(contender.codec).lasting(2), planner, setting)


def cycles_of(rounds: list[Entry], rounds_a_cycle: int) -> Cycles:
    """Returns the clock that the first two cycles on record set."""
    first_s, later_s, *_ = cycle_lengths_s(rounds, rounds_a_cycle)
    return Cycles(first_s, later_s)


def cycle_lengths_s(rounds: list[Entry], rounds_a_cycle: int) -> list[float]:
    """Returns how long every cycle took."""
    lengths_s = [float(one["duration_s"]) for one in rounds]
    starts = range(0, len(rounds), rounds_a_cycle)
    return [sum(lengths_s[start : start + rounds_a_cycle]) for start in starts]


def _cuts_by_kind(solution: Solution) -> tuple[str, ...]:
    cuts = {plan.device.rpartition("-")[0]: plan.option.cut for plan in solution.devices}
    return tuple(f"{kind} {cut}" for kind, cut in cuts.items())


def _sum(rounds: list[Entry], key: str) -> int:
    return sum(int(board[key]) for one in rounds for board in one["devices"].values())
