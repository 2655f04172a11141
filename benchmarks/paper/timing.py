"""How long a cycle, in which every board trains its local steps once, takes in the simulator."""

from __future__ import annotations

import tempfile
from pathlib import Path

from attrs import frozen

from benchmarks.paper.contenders import Contender
from benchmarks.paper.scene import Scene
from coordinator.planning.solution import Solution
from coordinator.record.run_record import Entry, RunRecord
from coordinator.simulation.simulation import simulate
from runtime.exits import Exit


@frozen
class Timing:
    """A contender's cycle; `first_s` also sends the programs, `cycle_s` is any later one.

    `bytes_up` and `bytes_down` are those of all boards in a later cycle.
    """

    contender: Contender
    solution: Solution
    first_s: float
    cycle_s: float
    bytes_up: int
    bytes_down: int

    def at(self, cycle: int) -> float:
        """Returns the time from the start to the end of a cycle, which counts from 1."""
        return self.first_s + (cycle - 1) * self.cycle_s


def time_cycle(scene: Scene, contender: Contender) -> Timing:
    """Simulates two cycles of the product's own parties. Raises ValueError without a plan."""
    solution = contender.solve(scene)
    planner = contender.planner(scene, solution)
    length = planner.rounds_a_cycle
    run = scene.coded(contender.codec).lasting(2 * length)
    setting = scene.setting(paced=contender.shares != "fair")
    with tempfile.TemporaryDirectory() as folder:
        record = RunRecord.begin(Path(folder) / "run")
        simulated = simulate(run.job, run.fleet, record, setting, planner=planner)
        rounds = record.rounds()
    if simulated.halt.code is not Exit.OK:
        raise ValueError(f"{contender.name}: {simulated.halt.reason}")
    first, second = rounds[:length], rounds[length:]
    return Timing(
        contender,
        solution,
        first_s=_duration_s(first),
        cycle_s=_duration_s(second),
        bytes_up=_sum(second, "up_bytes") - _sum(first, "up_bytes"),
        bytes_down=_sum(second, "down_bytes") - _sum(first, "down_bytes"),
    )


def _duration_s(rounds: list[Entry]) -> float:
    return sum(float(one["duration_s"]) for one in rounds)


def _sum(rounds: list[Entry], key: str) -> int:
    # The counts of a board rise over the whole run.
    return sum(int(board[key]) for one in rounds for board in one["devices"].values())
