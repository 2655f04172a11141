"""`edgesplit plan`: what a planner would decide, and how long a round would take."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from coordinator.commands import job_files, server_speed
from coordinator.equipment import AGENT_BYTES
from coordinator.fleet import Fleet
from coordinator.job import CodecLimits, Job
from coordinator.planning.comparison import Candidate, can_run, compare
from coordinator.planning.explain import explain
from coordinator.planning.full_local import FullLocal
from coordinator.planning.optimal import Optimal
from coordinator.planning.planners import SOLVERS
from coordinator.planning.problem import Problem
from coordinator.planning.solution import Infeasible, Solution
from coordinator.record.text_table import text_table
from runtime.config import examine, refuse
from runtime.errors import ConfigError
from runtime.exits import Exit
from runtime.ids import DeviceId

if TYPE_CHECKING:
    from coordinator.cutting.traced_model import TracedModel
    from coordinator.planning.priors import Priors

_MB = 1e6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    job_files.add_arguments(parser)
    parser.add_argument(
        "--planner", choices=tuple(SOLVERS), default="optimal", help="who plans (default: optimal)"
    )
    parser.add_argument(
        "--compare", action="store_true", help="also show what every other planner makes of it"
    )
    for link, verb in (("uplink", "send"), ("downlink", "receive")):
        parser.add_argument(
            f"--{link}-budget-mbps",
            type=server_speed.positive,
            metavar="N",
            help=f"what all devices together can {verb}, in 1e6 bits a second (default: no limit)",
        )
    server_speed.add_argument(parser)
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="draw the planned round")


def run(args: argparse.Namespace) -> Exit:
    """Prints the plan. Raises EdgeSplitError for files or a model that cannot be planned for."""
    if not can_run(args.planner):
        sys.stderr.write("genetic needs pymoo: install the extra `genetic`\n")
        return Exit.USAGE
    job, fleet = _read(args)
    asked = _questions(args, job, fleet)
    solver = SOLVERS[args.planner]
    problem = asked.whole if args.planner == FullLocal.name else asked.problem
    answer = solver.solve(problem)
    told = [*asked.premises, "", explain(problem, solver, answer, asked.coarser)]
    if args.compare:
        told += ["", _table(compare(asked.problem, asked.whole, asked.fixed))]
    if args.picture and isinstance(answer, Solution):
        _draw(answer, job, args.picture)
        told += ["", f"picture {args.picture}"]
    sys.stdout.write("\n".join(told) + "\n")
    return Exit.FLEET if isinstance(answer, Infeasible) else Exit.OK


@frozen
class _Questions:
    """The round to plan, its variants, and what all of them take for granted, in words.

    `coarser` allows the next coarser codecs, and is None if there are none.
    """

    problem: Problem
    whole: Problem
    fixed: Problem
    coarser: Problem | None
    premises: tuple[str, ...]


def _questions(args: argparse.Namespace, job: Job, fleet: Fleet) -> _Questions:
    from coordinator.cutting.cut_check import cut_problems, trace_job
    from coordinator.planning import priors

    traced = trace_job(job)
    refuse(cut_problems(job, args.job, fleet, job_files.fleet_path(args), traced))
    assumed = _priors(args, job, fleet, traced)
    problem = priors.build_problem(job, fleet, traced, assumed)
    whole = priors.with_whole_model(problem, job, fleet, traced)
    coarser = priors.with_coarser_codecs(job)
    return _Questions(
        problem=problem,
        whole=whole,
        fixed=priors.with_cuts_of(whole, fleet, traced),
        coarser=priors.build_problem(coarser, fleet, traced, assumed) if coarser else None,
        premises=tuple(_premises(job, fleet, assumed)),
    )


def _read(args: argparse.Namespace) -> tuple[Job, Fleet]:
    """Reads both files. Raises ConfigError with their problems and all that nobody states."""
    from coordinator.planning.priors import gaps

    path = job_files.fleet_path(args)
    try:
        job, fleet = job_files.read(args)
    except ConfigError as error:
        written = examine(path, Fleet).value
        # What a card should have said, the error tells itself.
        missing = gaps(written, path, carded=False) if written else ()
        raise ConfigError([*error.problems, *missing]) from None
    refuse(gaps(fleet, path))
    return job, fleet


def _priors(args: argparse.Namespace, job: Job, fleet: Fleet, traced: TracedModel) -> Priors:
    from coordinator.planning.priors import Priors, bytes_per_s

    up, down = args.uplink_budget_mbps, args.downlink_budget_mbps
    return Priors(
        server_gflops=_server_gflops(args, job, traced),
        uplink_bytes_per_s=None if up is None else bytes_per_s(up),
        downlink_bytes_per_s=None if down is None else bytes_per_s(down),
        memory_bytes=_memory_bytes(fleet),
    )


def _server_gflops(args: argparse.Namespace, job: Job, traced: TracedModel) -> float:
    from coordinator.cutting.model import build_model
    from coordinator.simulation.costs import DEFAULT_SERVER_GFLOPS, measured_server_gflops

    given: float | None = getattr(args, "server_gflops", DEFAULT_SERVER_GFLOPS)
    if given is not None:
        return given
    model = build_model(job.model.factory, job.model.args, job.training.seed, job.base)
    return measured_server_gflops(job, model, traced)


def _memory_bytes(fleet: Fleet) -> dict[DeviceId, float]:
    """Returns what the fleet file and the cards know of the boards' memory."""
    known = {DeviceId(one.id): one.emulate.memory_mb for one in fleet.devices}
    return {name: mb * _MB + AGENT_BYTES for name, mb in known.items() if mb is not None}


def _premises(job: Job, fleet: Fleet, assumed: Priors) -> Iterator[str]:
    yield "predictions from priors (fleet file, board cards), not measurements"
    training = job.training
    yield (
        f"{job.name} on {fleet.name}: {len(fleet.devices)} devices, "
        f"{training.local_steps} local steps a round, codecs {_codings(job.codec)}"
    )
    workers = "1 worker" if job.server.workers == 1 else f"{job.server.workers} workers"
    budgets = [
        f"{name} {'not shared' if rate is None else f'{rate * 8 / 1e6:g} Mbit/s for all'}"
        for name, rate in (
            ("uplink", assumed.uplink_bytes_per_s),
            ("downlink", assumed.downlink_bytes_per_s),
        )
    ]
    yield f"server: {workers} at {assumed.server_gflops:.3g} GFLOPS; {', '.join(budgets)}"


def _codings(codec: CodecLimits) -> str:
    floors = (
        f", from {one.cut} on {one.up or codec.up}/{one.down or codec.down}" for one in codec.floors
    )
    return f"{codec.up}/{codec.down}{''.join(floors)}"


def _table(candidates: Sequence[Candidate]) -> str:
    times = {
        one.planner: one.answer.round_s for one in candidates if isinstance(one.answer, Solution)
    }
    rows = [_row(one, times.get(Optimal.name)) for one in candidates]
    heads = ("planner", "round s", "x optimal")
    numbers = text_table(heads, [row[:-1] for row in rows], left=1).splitlines()
    notes = ("assumes", *(row[-1] for row in rows))
    # Notes are words after numbers: nothing comes to the right of them.
    return "\n".join(
        f"{left.ljust(len(max(numbers, key=len)))}  {note}"
        for left, note in zip(numbers, notes, strict=True)
    )


def _row(candidate: Candidate, optimal_s: float | None) -> tuple[str, str, str, str]:
    if not isinstance(candidate.answer, Solution):
        return candidate.planner, "-", "-", candidate.note
    round_s = candidate.answer.round_s
    ratio = "-" if optimal_s is None else f"{round_s / optimal_s:.2f}"
    return candidate.planner, f"{round_s:.2f}", ratio, candidate.note


def _draw(solution: Solution, job: Job, path: Path) -> None:
    from coordinator.record.round_picture import plot_planned

    title = f"{job.name}: a round planned by {solution.planner}, predicted from priors"
    plot_planned(solution, job.training.local_steps, path, title)
