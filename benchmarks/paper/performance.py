"""A scene's job carried out to its end in the simulator."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.paper.contenders import Replay, Turns
from benchmarks.paper.scene import Scene
from coordinator.record.run_record import Entry, RunRecord
from coordinator.simulation.simulation import Setting, simulate
from runtime.exits import Exit


def perform(scene: Scene, planner: Replay | Turns, setting: Setting) -> list[Entry]:
    """Returns the rounds on record; the job's rounds are taken as cycles of the planner.

    Raises ValueError for a job that ended early.
    """
    run = scene.lasting(scene.job.training.rounds * planner.rounds_a_cycle)
    with tempfile.TemporaryDirectory() as folder:
        record = RunRecord.begin(Path(folder) / "run")
        simulated = simulate(run.job, run.fleet, record, setting, planner=planner)
        rounds = record.rounds()
    if simulated.halt.code is not Exit.OK:
        raise ValueError(f"{run.job.name} ended early: {simulated.halt.reason}")
    return rounds
