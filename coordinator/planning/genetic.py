"""`genetic`: a genetic algorithm over the options, from pymoo (the extra `genetic`).

It is here because the field asks how it compares.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, ClassVar

import numpy as np
from attrs import frozen

from coordinator.planning.admission import Admitted, admit, memory_shortage
from coordinator.planning.branch_and_bound import best_shares
from coordinator.planning.draft import Draft, draft_at, first_draft
from coordinator.planning.problem import Problem
from coordinator.planning.solution import Infeasible, Solution
from coordinator.planning.tables import MEMORY, Ints, Tables
from coordinator.planning.telling import tell
from runtime.errors import EdgeSplitError

_TOLERANCE = 1e-2
"""How exactly shares are computed while generations pass."""


@frozen
class Genetic:
    """A gene is a device's option; a plan is as fit as its round with the best shares is short.

    The same seed gives the same plan. Raises EdgeSplitError where pymoo is not installed.
    """

    generations: int = 50
    population: int = 40
    seed: int = 0
    name: ClassVar[str] = "genetic"

    def solve(self, problem: Problem) -> Solution | Infeasible:
        admitted = admit(problem, self.name)
        if not isinstance(admitted, Admitted):
            return admitted
        first = first_draft(admitted.tables)
        if first is None:
            return memory_shortage(admitted, self.name)
        best = self._breed(admitted.tables, first)
        return tell(admitted, self.name, best_shares(admitted.tables, best))

    def _breed(self, tables: Tables, first: Draft) -> Draft:
        """Returns the fittest plan of all generations, `first` among their ancestors."""
        met = [first]

        def fitness(genes: Any) -> float:
            draft = _draft(tables, np.asarray(genes, np.intp))
            if draft is None:
                return first.round_s * (1 + _memory_use(tables, np.asarray(genes, np.intp)))
            met[0] = min(met[0], draft, key=lambda one: one.round_s)
            return draft.round_s

        options = tables.legal.sum(axis=1)
        ancestors = np.random.default_rng(self.seed).integers(
            0, options, (self.population, len(options))
        )
        ancestors[0] = first.ids
        _minimise(fitness, options - 1, ancestors, self.generations, self.seed)
        return met[0]


def is_installed() -> bool:
    """Tells whether the genetic planner finds pymoo."""
    return importlib.util.find_spec("pymoo") is not None


def _draft(tables: Tables, choice: Ints) -> Draft | None:
    if _memory_use(tables, choice) > 1:
        return None
    rough = draft_at(tables, choice, tables.up_cap[:, 0], tables.down_cap[:, 0])
    return best_shares(tables, rough, _TOLERANCE)


def _memory_use(tables: Tables, choice: Ints) -> float:
    memory = tables.memory_bytes[np.arange(len(choice)), choice].sum()
    return float(memory / tables.limits[MEMORY]) if memory else 0.0


def _minimise(fitness: Any, upper: Ints, ancestors: Ints, generations: int, seed: int) -> None:
    ga, sbx, pm, rounding, functional, optimize = (
        _pymoo(name)
        for name in (
            "algorithms.soo.nonconvex.ga",
            "operators.crossover.sbx",
            "operators.mutation.pm",
            "operators.repair.rounding",
            "problems.functional",
            "optimize",
        )
    )
    repair = rounding.RoundingRepair()
    algorithm = ga.GA(
        pop_size=len(ancestors),
        sampling=ancestors,
        crossover=sbx.SBX(vtype=float, repair=repair),
        mutation=pm.PM(vtype=float, repair=repair),
        eliminate_duplicates=True,
    )
    problem = functional.FunctionalProblem(
        len(upper), fitness, xl=np.zeros_like(upper), xu=upper, vtype=int
    )
    optimize.minimize(problem, algorithm, ("n_gen", generations), seed=seed)


def _pymoo(module: str) -> Any:
    try:
        return importlib.import_module(f"pymoo.{module}")
    except ModuleNotFoundError as error:
        raise EdgeSplitError(
            "the genetic planner needs pymoo: pip install 'edgesplit[genetic]'"
        ) from error
