"""Makes a failing schedule small: fewer incidents first, then rounder figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs

from runtime.transport.memory import BOTH_WAYS
from tests.faults.schedule import Incident, Schedule

Fails = Callable[[Schedule], bool]
_ROUND_TIMES_S = (0.0, 1.0, 6.0)


def shrink(schedule: Schedule, fails: Fails, plays: int = 200) -> Schedule:
    """Returns a schedule that still fails, and is no larger; plays at most so many."""
    smallest = schedule
    while plays > 0:
        for candidate in _smaller(smallest):
            plays -= 1
            if fails(candidate):
                smallest = candidate
                break
            if plays <= 0:
                return smallest
        else:
            return smallest
    return smallest


def _smaller(schedule: Schedule) -> Iterator[Schedule]:
    """Yields what is simpler by one thing, the greatest relief first."""
    incidents, setting = schedule.incidents, schedule.setting
    half = len(incidents) // 2
    if half > 1:
        yield attrs.evolve(schedule, incidents=incidents[:half])
        yield attrs.evolve(schedule, incidents=incidents[half:])
    for index, incident in enumerate(incidents):
        yield _replaced(schedule, index)
        for party in incident.parties if len(incident.parties) > 1 else ():
            rest = tuple(one for one in incident.parties if one != party)
            yield _replaced(schedule, index, attrs.evolve(incident, parties=rest))
    calm = attrs.evolve(setting.weather, drop=0.0, duplicate=0.0, delay_s=(0.001, 0.001))
    for change in (
        attrs.evolve(setting, rounds=max(1, setting.rounds - 1)),
        attrs.evolve(setting, weather=calm),
        attrs.evolve(setting, ballast_bytes=0),
    ):
        if change != setting:
            yield attrs.evolve(schedule, setting=change)
    for index, incident in enumerate(incidents):
        for simple in _rounder(incident):
            yield _replaced(schedule, index, simple)


def _rounder(incident: Incident) -> Iterator[Incident]:
    if incident.ways != BOTH_WAYS:
        yield attrs.evolve(incident, ways=BOTH_WAYS)
    for for_s in _ROUND_TIMES_S:
        if incident.for_s is not None and for_s < incident.for_s:
            yield attrs.evolve(incident, for_s=for_s)
    for grain in (100, 10):
        if incident.at_event % grain:
            yield attrs.evolve(incident, at_event=incident.at_event // grain * grain)


def _replaced(schedule: Schedule, index: int, *instead: Incident) -> Schedule:
    incidents = schedule.incidents
    changed = (*incidents[:index], *instead, *incidents[index + 1 :])
    return attrs.evolve(schedule, incidents=tuple(sorted(changed, key=lambda one: one.at_event)))
