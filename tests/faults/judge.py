"""What must hold of a run that has ended, by its record and its disk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from coordinator.plan import Plan
from runtime.exits import Exit
from runtime.ids import COORDINATOR, DeviceId
from tests.faults.oracle import expected
from tests.faults.schedule import Schedule
from tests.faults.worlds import laboratory_of
from tests.world import World

_NEVER = frozenset({"attempt failed", "failed", "refused", "probe failed"})
_NEVER_DROPPED = (
    "does not decode",
    "corrupt",
    "oversized",
    "unknown keys",
    "too many",
    "too large",
)


def faults_of(world: World, schedule: Schedule) -> Iterator[str]:
    """Yields what is wrong, the gravest first."""
    halt = world.halts[COORDINATOR]
    if halt.code is not Exit.OK:
        yield f"the run ended: {halt.reason}"
    yield from _record(world)
    yield from _learnt(world)
    yield from _dropped(world, schedule)
    yield from _defects(world)


def _record(world: World) -> Iterator[str]:
    rounds = world.records.streams.get("rounds", [])
    numbers = [entry["round"] for entry in rounds]
    if numbers != list(range(1, world.recipe.rounds + 1)):
        yield f"rounds {numbers} are on record"
    disk = laboratory_of(world).disk
    if max(disk) != world.recipe.rounds:
        yield f"the last checkpoint is that of round {max(disk)}"
    for entry in rounds:
        plan = world.plans.get(entry["round"])
        if plan is None:
            yield f"round {entry['round']} has no plan on record"
        else:
            yield from _entry(world, entry, plan)


def _entry(world: World, entry: dict[str, Any], plan: Plan) -> Iterator[str]:
    number = entry["round"]
    if plan.devices != world.names:
        yield f"the plan of round {number} speaks of {plan.devices}"
    planned = {one.device: one.batch for one in plan.assignments}
    parts = sorted([*entry["devices"], *(one["device"] for one in entry["dropped"])])
    if parts != sorted(planned):
        yield f"round {number} was planned for {sorted(planned)}, and accounts for {parts}"
    for name, part in entry["devices"].items():
        if part["samples"] != planned.get(name, 0) * world.recipe.local_steps:
            yield f"{name} trained {part['samples']} samples in round {number}"
    if entry["weights_sha256"] != laboratory_of(world).disk[number].chain.hex():
        yield f"round {number} has other weights on record than on disk"


def _learnt(world: World) -> Iterator[str]:
    """Every sample once and in its place: chains and positions say so."""
    bench, rounds = laboratory_of(world), world.records.streams.get("rounds", [])
    for number in range(1, len(rounds) + 1):
        due = expected(world.recipe, bench.held, world.plans, rounds[:number])
        kept = bench.disk[number]
        if dict(kept.positions) != due.positions:
            yield f"after round {number} the positions are {dict(kept.positions)}"
        if kept.chain != due.chain:
            yield f"after round {number} the chain is not what its parts make"


def _dropped(world: World, schedule: Schedule) -> Iterator[str]:
    """Who is dropped without a reason?"""
    policy = world.policy
    left = {name for one in schedule.incidents for name in one.parties if one.kind in _LEAVING}
    for entry in world.records.streams.get("rounds", []):
        for gone in entry["dropped"]:
            device = DeviceId(gone["device"])
            if policy.drops and schedule.incidents:
                continue
            late = policy.round_deadline_s is not None and "not home" in gone["reason"]
            absent = policy.gather_limit_s is not None and "absent" in gone["reason"]
            if device not in left and not late and not absent:
                yield f"{device} was dropped, and had no part in any trouble: {gone['reason']}"


_LEAVING = ("leave", "hurry")


def _defects(world: World) -> Iterator[str]:
    for entry in world.records.streams.get("events", []):
        if entry["event"] in _NEVER:
            yield f"on record: {entry}"
        if entry["event"] == "dropped" and any(one in entry["reason"] for one in _NEVER_DROPPED):
            yield f"on record: {entry}"
    for name, life in world.lives.items():
        for reason, count in life.party.counts().items():
            if any(one in reason for one in _NEVER_DROPPED):
                yield f"{name} dropped {count} times: {reason}"
