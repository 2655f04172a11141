"""The plans of another run, to be followed once more."""

from __future__ import annotations

from pathlib import Path

from coordinator.fleet import Fleet
from coordinator.plan import Plan
from coordinator.record.run_record import RunRecord
from runtime.config import refuse
from runtime.errors import Problem, StorageError, WireError
from runtime.wire import from_builtin


def read_plans(folder: Path, fleet: Fleet) -> dict[int, Plan]:
    """Returns the plans of the run in `folder` by round.

    Raises StorageError where there are none, ConfigError where they are for other devices.
    """
    path = folder / "plans.jsonl"
    plans = logged_plans(RunRecord(folder))
    if not plans:
        raise StorageError(f"{folder} holds no plans; name the folder of a run, as runs/latest")
    devices = tuple(sorted(fleet.ids))
    refuse(_foreign(path, plan, devices) for plan in plans if plan.devices != devices)
    return {plan.round: plan for plan in plans}


def logged_plans(record: RunRecord) -> list[Plan]:
    """Returns the plans of a run in order. Raises StorageError where they are damaged."""
    try:
        return [from_builtin(Plan, entry) for entry in record.plans()]
    except WireError as error:
        raise StorageError(f"{record.folder}/plans.jsonl is damaged: {error}") from error


def _foreign(path: Path, plan: Plan, devices: tuple[str, ...]) -> Problem:
    message = f"it plans for {', '.join(plan.devices)}, the fleet is {', '.join(devices)}"
    return Problem(str(path), f"round {plan.round}", message, "take the fleet file of that run")
