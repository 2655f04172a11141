"""All planners side by side on one round, with what each assumes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import evolve, frozen

from coordinator.planning.full_local import FullLocal
from coordinator.planning.genetic import Genetic, is_installed
from coordinator.planning.optimal import Optimal
from coordinator.planning.planners import SOLVERS
from coordinator.planning.problem import Problem
from coordinator.planning.solution import Infeasible, Solution

FIXED = "fixed"
"""The row of the fleet file's own cuts: no solver, but what `optimal` makes of these cuts."""

ASSUMES: Mapping[str, str] = {
    "optimal": "cuts and static shares of the links chosen together; proved near the bound",
    "alternating": "the paper's: cuts and shares in turn, from equal shares on",
    "equal-bandwidth": "an equal part of each budget for every device, the best cuts for it",
    "common-cut": "SplitFed: one cut for all, the best bandwidth for it",
    "unpaced": "the cuts of optimal, all senders at once and nobody paced: an upper estimate",
    "full-local": "FedAvg: every device trains the whole model, only weights travel",
    "sequential": "plain split learning: one device after the other, each alone on the link",
    "genetic": "a genetic algorithm over the cuts, the best bandwidth for each plan",
    FIXED: "the fleet file's cuts of the first round, the best bandwidth for them",
}


@frozen
class Candidate:
    """A planner's answer; None where the planner cannot run, which `note` explains."""

    planner: str
    answer: Solution | Infeasible | None
    note: str


def compare(problem: Problem, whole: Problem, fixed: Problem) -> tuple[Candidate, ...]:
    """Returns the answer of every planner.

    `whole` is the problem with the option to train the whole model, which only `full-local` may
    take; `fixed` is the problem with the cuts of the fleet file.
    """
    return (*_solvers(problem, whole), _fixed(fixed))


def can_run(planner: str) -> bool:
    """Tells whether what the planner needs is installed."""
    return planner != Genetic.name or is_installed()


def _solvers(problem: Problem, whole: Problem) -> Iterator[Candidate]:
    for name, solver in SOLVERS.items():
        if not can_run(name):
            yield Candidate(name, None, "skipped: pymoo is not installed (the extra `genetic`)")
            continue
        answer = solver.solve(whole if name == FullLocal.name else problem)
        yield Candidate(name, answer, _note(name, answer))


def _fixed(problem: Problem) -> Candidate:
    answer = evolve(Optimal().solve(problem), planner=FIXED)
    return Candidate(FIXED, answer, _note(FIXED, answer))


def _note(name: str, answer: Solution | Infeasible) -> str:
    if isinstance(answer, Infeasible):
        return f"no plan: {answer.reason}"
    if not answer.left_out:
        return ASSUMES[name]
    left = ", ".join(one.device for one in answer.left_out)
    return f"{ASSUMES[name]}; without {left}"
