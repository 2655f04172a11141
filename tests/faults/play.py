"""Plays a schedule in virtual time and judges it: everything that must hold, whatever happened."""

from __future__ import annotations

import hashlib
import json
import traceback
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

import attrs
from attrs import field, frozen

from coordinator.membership import rest_s
from coordinator.policy import Policy
from coordinator.state import CoordinatorState
from runtime.exits import Exit
from runtime.ids import COORDINATOR
from runtime.transport.memory import Weather
from tests.faults.adversary import Adversary
from tests.faults.bounds import outgrown
from tests.faults.judge import faults_of
from tests.faults.schedule import Schedule, Setting
from tests.faults.worlds import build, laboratory_of
from tests.world import World

ENDS_WITHIN_S = 90.0
"""From the end of the last trouble to that of the run: rounds take some seconds, letters are
repeated every eight, leases, rests and announcements come on top."""
_STEPS_AT_MOST = 400_000
_LOOKS_EVERY = 16
_SMALLEST_LETTER_BYTES = 16 * 1024
_TOLD = ("device dropped", "flapping", "round made again", "lost", "left", "contested")


@frozen
class Verdict:
    """What came of a schedule. `fault` is None if all is well; `print` tells plays apart."""

    schedule: Schedule
    fault: str | None
    print: str
    took_s: float
    """Virtual time."""
    after_s: float
    """Virtual time from the end of the last trouble."""
    tally: Counter[str] = field(repr=False)


def play(schedule: Schedule) -> Verdict:
    """Plays a schedule to its end, or to the first thing that is wrong."""
    setting = schedule.setting
    world = build(setting, schedule.seed)
    adversary = Adversary(world, schedule)
    try:
        fault = _run(world, adversary, schedule) or next(faults_of(world, schedule), None)
    except Exception:
        fault = traceback.format_exc(limit=-4)
    if fault is None:
        fault = _compared(world, setting)
    now, tally = world.clock.now(), adversary.tally
    tally.update(_seen(world))
    tally["incidents that came too late"] += adversary.spared
    after_s = now - min(now, adversary.healed_s)
    return Verdict(schedule, fault, _print(world), now, after_s, tally)


def _run(world: World, adversary: Adversary, schedule: Schedule) -> str | None:
    """Runs to the end of the job; returns what went wrong on the way."""
    letter_bytes = _largest_letter_bytes(schedule.setting)
    adversary.begin()
    for event in range(_STEPS_AT_MOST):
        adversary.strike(event)
        if not world.clock.step():
            return "nothing is left to happen"
        if adversary.unnoticed:
            return adversary.unnoticed[0]
        if event % _LOOKS_EVERY == 0:
            fault = next(outgrown(world, letter_bytes), None)
            if fault:
                return fault
        if _is_over(world):
            return None
        if world.clock.now() > adversary.healed_s + patience_s(world):
            return f"no end by {world.clock.now():.1f} s, all was well from {adversary.healed_s} s"
    return f"no end after {_STEPS_AT_MOST} events, at {world.clock.now():.1f} s"


def _is_over(world: World) -> bool:
    halt = world.halts.get(COORDINATOR)
    return halt is not None and halt.reason != "asked to stop"


def patience_s(world: World) -> float:
    """Returns how long a run may go on when nothing troubles it any more."""
    life = world.lives.get(COORDINATOR)
    state = life.party.state if life else None
    if not world.policy.drops or not isinstance(state, CoordinatorState):
        return ENDS_WITHIN_S
    rests = max((one.rests for one in state.fleet.members.values()), default=0)
    return ENDS_WITHIN_S + sum(map(rest_s, range(rests)))


def _largest_letter_bytes(setting: Setting) -> int:
    return max(_SMALLEST_LETTER_BYTES, 300_000 if setting.live else setting.ballast_bytes + 2_000)


def _compared(world: World, setting: Setting) -> str | None:
    """Compares with the undisturbed run, where nobody was dropped; a plan log is replayed."""
    rounds = world.records.streams["rounds"]
    whole = all(set(entry["devices"]) == set(world.names) for entry in rounds)
    if not whole and not setting.live:
        return None
    if any(entry["dropped"] for entry in rounds):
        return None
    chain = laboratory_of(world).disk[setting.rounds].chain
    if not setting.live:
        return None if chain == _undisturbed(setting) else "the chain is not the undisturbed run's"
    calm = build(_calm(setting), replayed=world.plans)
    calm.start_all()
    halt = calm.run()
    if halt.code is not Exit.OK or laboratory_of(calm).disk[setting.rounds].chain != chain:
        return f"the plan log leads elsewhere when it is replayed: {halt.reason}"
    return None


def forget() -> None:
    """Forgets undisturbed runs, for whoever changes the code that they come from."""
    _undisturbed.cache_clear()


def _calm(setting: Setting) -> Setting:
    return attrs.evolve(setting, policy=Policy(), weather=Weather())


@lru_cache(maxsize=4096)
def _undisturbed(setting: Setting) -> bytes:
    world = build(_calm(setting))
    world.start_all()
    world.run()
    return laboratory_of(world).disk[setting.rounds].chain


def _seen(world: World) -> Iterator[str]:
    """Yields what recovery had to do, as far as the record tells."""
    for entry in world.records.streams.get("events", []):
        if entry["event"] in _TOLD:
            yield entry["event"]
        if entry["event"] == "dropped":
            yield f"dropped: {entry['reason']}"
    for entry in world.records.streams.get("rounds", []):
        for part in entry["devices"].values():
            yield "parts trained"
            if part["attempt"] > 1:
                yield "parts trained again"


def _print(world: World) -> str:
    """Returns a digest of all that a play leaves behind."""
    left = {"now": world.clock.now(), "delivered": world.broker.delivered, **world.records.streams}
    return hashlib.sha256(json.dumps(left, sort_keys=True, default=str).encode()).hexdigest()[:16]
