"""Who is compared: a planner, a codec, and how the link is shared among the boards."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from benchmarks.paper.scene import Scene
from coordinator.job import CodecName
from coordinator.plan import Assignment, Knowledge, Plan
from coordinator.planning.comparison import can_run
from coordinator.planning.full_local import FullLocal
from coordinator.planning.planners import SOLVERS
from coordinator.planning.solution import DevicePlan, Infeasible, Solution

Shares = Literal["lent", "static", "unpaced", "turns"]
"""Lent while idle; held by hard caps; nobody paces anybody; one board after the other."""

_LEAST_WEIGHT = 1.0


@frozen
class Contender:
    """A row of the tables."""

    solver: str
    codec: CodecName
    shares: Shares

    @property
    def name(self) -> str:
        """The name in messages and pictures."""
        return f"{self.solver}, {self.codec}, {self.shares}"

    @property
    def in_turns(self) -> bool:
        """Tells whether boards train one after the other."""
        return self.shares == "turns"

    def solve(self, scene: Scene) -> Solution:
        """Returns the solver's plan for the scene. Raises ValueError where there is none."""
        scene = scene.coded(self.codec)
        whole = self.solver == FullLocal.name
        problem = scene.problem_with_whole_model if whole else scene.problem
        solution = SOLVERS[self.solver].solve(problem)
        if isinstance(solution, Infeasible):
            raise ValueError(f"{self.name}: {solution.reason}")
        return solution

    def planner(self, scene: Scene, solution: Solution) -> Replay | Turns:
        """Returns the planner that has the solver's plan carried out in every round."""
        assignments = tuple(
            self._assignment(scene, plan)
            for plan in sorted(solution.devices, key=lambda plan: plan.device)
        )
        kind = Turns if self.in_turns else Replay
        return kind(self.solver, assignments)

    def _assignment(self, scene: Scene, plan: DevicePlan) -> Assignment:
        weighted = self.shares in ("lent", "static")
        return Assignment(
            device=plan.device,
            cut=plan.option.cut,
            codec_up=plan.option.codec_up,
            codec_down=plan.option.codec_down,
            batch=scene.job.training.batch,
            weight=max(_LEAST_WEIGHT, plan.rates.up_bytes_per_s) if weighted else 1.0,
            weight_down=max(_LEAST_WEIGHT, plan.rates.down_bytes_per_s) if weighted else 1.0,
            caps=plan.rates if self.shares == "static" else None,
            predicted=plan.terms,
        )


PRODUCT = Contender("optimal", "int8", "lent")
PAPER = Contender("alternating", "fp32", "static")
SPLIT = Contender("optimal", "fp32", "lent")
FEDAVG = Contender("full-local", "fp32", "lent")
SEQUENTIAL = Contender("sequential", "fp32", "turns")

_ALL = (
    PRODUCT,
    Contender("optimal", "int8", "static"),
    Contender("unpaced", "int8", "unpaced"),
    SPLIT,
    Contender("optimal", "fp32", "static"),
    PAPER,
    Contender("genetic", "fp32", "static"),
    Contender("equal-bandwidth", "fp32", "static"),
    Contender("common-cut", "fp32", "static"),
    Contender("unpaced", "fp32", "unpaced"),
    FEDAVG,
    SEQUENTIAL,
)


def contenders() -> tuple[Contender, ...]:
    """Returns all whose solvers can run here."""
    return tuple(one for one in _ALL if can_run(one.solver))


@frozen
class Replay:
    """The same plan in every round."""

    name: str
    assignments: tuple[Assignment, ...]

    @property
    def rounds_a_cycle(self) -> int:
        """After so many rounds every board has trained its steps once."""
        return 1

    def plan(self, round: int, knowledge: Knowledge) -> Plan:
        """Returns the plan, whatever is known."""
        return Plan(round, self.name, self.assignments)


@frozen
class Turns:
    """Plain split learning: in every round one board trains, and hands its layers on."""

    name: str
    assignments: tuple[Assignment, ...]

    @property
    def rounds_a_cycle(self) -> int:
        """After so many rounds every board has trained its steps once."""
        return len(self.assignments)

    def plan(self, round: int, knowledge: Knowledge) -> Plan:
        """Returns the plan of the board whose turn it is."""
        return Plan(round, self.name, (self.assignments[(round - 1) % len(self.assignments)],))
