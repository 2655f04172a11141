"""A seeded stream of incidents: what happens to whom, and when."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Literal

from attrs import frozen

from coordinator.timeline import Incident
from tests.soak.scene import FRAIL, GUEST, MORTAL, WIRE, WIRED

MEAN_GAP_S = 5.0
QUIET_PART = 0.1
"""Of the whole time, at its beginning and at its end, in which nothing happens."""
COORDINATOR_UNTIL, BROKER_UNTIL = 0.3, 0.6
"""Parts of the time after which these two are killed no more, so that they grow old."""


@frozen
class Blow:
    """Something that befalls a link and that a timeline has no word for."""

    at_s: float
    device: str
    do: Literal["reset", "half-open"]


@frozen
class Stream:
    """All that happens in a soak, in order."""

    timeline: tuple[Incident, ...]
    blows: tuple[Blow, ...]

    def __len__(self) -> int:
        return len(self.timeline) + len(self.blows)


def stream(seconds: float, seed: int) -> Stream:
    """Returns the incidents of a soak; the same seed gives the same ones.

    Each link is cut, each mortal killed and the guest let in at least once, whatever is drawn.
    """
    draw = random.Random(seed)
    happened = [*_opening(seconds), *_drawn(seconds, draw)]
    timeline = [one for one in happened if isinstance(one, Incident)]
    blows = [one for one in happened if isinstance(one, Blow)]
    return Stream(
        tuple(sorted(timeline, key=lambda one: one.at_s or 0.0)),
        tuple(sorted(blows, key=lambda one: one.at_s)),
    )


def _opening(seconds: float) -> Iterator[Incident | Blow]:
    """One of each kind, close together after the quiet at the beginning."""
    start = seconds * QUIET_PART
    yield Incident("join", device=GUEST, at_s=start / 2)
    for number, device in enumerate(WIRED):
        yield Incident("cut", device=device, at_s=start + number, for_s=1.0)
    yield Incident("kill", device=MORTAL, at_s=start, for_s=1.0)
    yield Incident("kill", process="coordinator", at_s=start + 4.0, for_s=0.5)
    yield Incident("kill", process="broker", at_s=start + 8.0, for_s=0.5)
    yield Blow(start + 2.0, WIRE, "reset")
    yield Blow(start + 5.0, WIRE, "half-open")


def _drawn(seconds: float, draw: random.Random) -> Iterator[Incident | Blow]:
    at_s, end_s = seconds * QUIET_PART + 10.0, seconds * (1 - QUIET_PART)
    while (at_s := at_s + draw.expovariate(1 / MEAN_GAP_S)) < end_s:
        yield _one(at_s, at_s / seconds, draw)


def _one(at_s: float, part: float, draw: random.Random) -> Incident | Blow:
    for_s = draw.uniform(0.3, 6.0)
    kinds = {"kill": 4, "cut": 3, "reset": 3, "half-open": 2, "throttle": 2, "slow": 2, "leave": 2}
    if part < BROKER_UNTIL:
        kinds["broker"] = 1
    if part < COORDINATOR_UNTIL:
        kinds["coordinator"] = 3
    (kind,) = draw.choices(list(kinds), list(kinds.values()))
    wired = draw.choice(WIRED)
    match kind:
        case "broker" | "coordinator" as process:
            return Incident("kill", process=process, at_s=at_s, for_s=for_s / 2)
        case "reset" | "half-open" as blow:
            return Blow(at_s, wired, blow)
        case "kill":
            return Incident("kill", device=draw.choice((MORTAL, FRAIL)), at_s=at_s, for_s=for_s)
        case "cut":
            return Incident("cut", device=wired, at_s=at_s, for_s=for_s)
        case "leave":
            return Incident("leave", device=GUEST, at_s=at_s, for_s=for_s)
        case "slow":
            return Incident("slow", device=wired, at_s=at_s, for_s=for_s, times=5.0)
        case _:
            return Incident("throttle", device=wired, at_s=at_s, for_s=4 * for_s, times=10.0)
