"""A schedule: a fleet, and what an adversary does to it, as a value made from a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Literal

import attrs
from attrs import frozen

from coordinator.policy import Policy
from runtime.ids import COORDINATOR, DeviceId
from runtime.transport.memory import BOTH_WAYS, Way, Weather
from runtime.wire import from_builtin

BROKER = DeviceId("broker")
"""No party, but it can be killed like one."""

Kind = Literal["kill", "power", "cut", "silence", "flap", "leave", "hurry", "storm", "late"]
KINDS: dict[Kind, int] = {
    "kill": 8,
    "power": 3,
    "cut": 3,
    "silence": 4,
    "flap": 1,
    "leave": 3,
    "hurry": 1,
    "storm": 2,
}
"""How often an adversary does what. Who is `late` is so from the start."""
FLAP_S = 8.0
"""From one silence of a flapping device to the next."""
_EVENTS_BY_STEP = 32
"""Of a device's local step, what else belongs to its round counted in: a rough figure, so that
incidents strike before the end."""


@frozen
class Incident:
    """What strikes some parties at an event of the world, counted from its start.

    kill: as `kill -9`; power: the same, and the broker notices late; cut: connections break;
    silence: nothing passes and nobody is told; flap: silent now and then; leave: asked to stop,
    hurry: twice; storm: bad weather for all; late: not there at the start.
    After `for_s` it is over, and who ended is started again; None is never. `ways` are those that
    are silent: only what a party sends is lost (up), or only what it is sent (down), or all.
    """

    at_event: int
    kind: Kind
    parties: tuple[DeviceId, ...]
    for_s: float | None
    ways: tuple[Way, ...] = BOTH_WAYS

    @property
    def name(self) -> str:
        """What it does, and one way where it does it one way."""
        return self.kind if self.ways == BOTH_WAYS else f"{self.kind} {self.ways[0]}"

    def __str__(self) -> str:
        whom = f" {', '.join(self.parties)}" if self.parties else ""
        return f"event {self.at_event}: {self.name}{whom} for {self.for_s} s"


@frozen
class Setting:
    """A fleet and its job. A `live` one is measured and planned; `whole` mixes in whole models.

    `ballast_bytes` is what steps, gradients and layer states carry beyond their chains.
    """

    devices: int
    rounds: int
    local_steps: int
    policy: Policy
    weather: Weather
    whole: bool = True
    live: bool = False
    ballast_bytes: int = 0

    @property
    def names(self) -> tuple[DeviceId, ...]:
        return tuple(DeviceId(f"board-{index}") for index in range(self.devices))


@frozen
class Schedule:
    """Who is in the world, and what happens to it. Two plays of it are alike to the last bit."""

    seed: int
    setting: Setting
    incidents: tuple[Incident, ...]

    @classmethod
    def of_seed(cls, seed: int) -> Schedule:
        """Returns the schedule of a seed."""
        chance = random.Random(f"faults {seed}")
        setting = _setting(chance)
        incidents = _incidents(chance, setting)
        # Of draws of their own, so that all else of a schedule does not hang on them.
        one_way = random.Random(f"ways {seed}")
        return cls(seed, setting, tuple(_narrowed(one_way, one) for one in incidents))

    @classmethod
    def read(cls, text: str) -> Schedule:
        """Reads a seed, or what `written` wrote."""
        return cls.of_seed(int(text)) if text.isdigit() else from_builtin(cls, json.loads(text))

    def written(self) -> str:
        """Returns it as JSON, without quotes that a shell would mind."""
        return json.dumps(attrs.asdict(self), separators=(",", ":"))

    def __str__(self) -> str:
        lines = [f"seed {self.seed}: {self.setting}", *map(str, self.incidents)]
        return "\n  ".join(lines)


def _setting(chance: random.Random) -> Setting:
    devices = chance.randint(2, 4)
    drop = chance.choice((0.0, 0.0, 0.02, 0.1))
    return Setting(
        devices=devices,
        rounds=chance.randint(2, 3),
        local_steps=chance.randint(2, 4),
        policy=chance.choice(_policies(devices)),
        weather=Weather(drop, drop, (0.001, chance.choice((0.001, 0.02, 0.2)))),
        whole=chance.random() < 0.5,
        live=chance.random() < 0.15,
        ballast_bytes=chance.choice((0, 0, 20_000, 60_000)),
    )


def _policies(devices: int) -> Sequence[Policy]:
    return (
        Policy(),
        Policy(gather_limit_s=3.0),
        Policy(lost="drop"),
        Policy(lost="drop", quorum=devices, gather_limit_s=3.0),
        Policy(lost="drop", quorum=devices - 1, gather_limit_s=3.0),
        Policy(quorum=0.5, round_deadline_s=2.0, gather_limit_s=3.0),
    )


def _incidents(chance: random.Random, setting: Setting) -> list[Incident]:
    length = _EVENTS_BY_STEP * setting.devices * setting.rounds * (setting.local_steps + 3)
    found = _late(chance, setting)
    away = _may_go(setting)
    at_event = 0
    for _ in range(chance.choice((1, 1, 2, 2, 3, 4, 6))):
        # Often amid what the last one left behind, else anywhere.
        near = found and chance.random() < 0.4
        at_event = at_event + chance.randint(0, 60) if near else chance.randrange(length)
        incident = _incident(chance, setting, at_event)
        for_ever = incident.kind in ("leave", "hurry") and chance.random() < 0.3
        if for_ever and away > 0 and COORDINATOR not in incident.parties:
            away -= 1
            incident = attrs.evolve(incident, for_s=None)
        found.append(incident)
    return sorted(found, key=lambda one: one.at_event)


def _narrowed(chance: random.Random, incident: Incident) -> Incident:
    """Makes every other silence one of one way."""
    ways = chance.choice((BOTH_WAYS, BOTH_WAYS, *((way,) for way in BOTH_WAYS)))
    return attrs.evolve(incident, ways=ways) if incident.kind in ("silence", "flap") else incident


def _late(chance: random.Random, setting: Setting) -> list[Incident]:
    late = tuple(name for name in setting.names if chance.random() < 0.1)
    return [Incident(0, "late", late, chance.choice((0.2, 2.0, 6.0)))] if late else []


def _may_go(setting: Setting) -> int:
    """Returns how many devices may leave for good, without a run that waits for them for ever."""
    policy = setting.policy
    if policy.gather_limit_s is None:
        return 0
    return setting.devices - max(1, policy.least(setting.devices))


def _incident(chance: random.Random, setting: Setting, at_event: int) -> Incident:
    kind = chance.choices(list(KINDS), list(KINDS.values()))[0]
    for_s = chance.choice((0.0, 0.01, 0.3, 1.0, 3.0, 6.0, 12.0, 20.0))
    return Incident(at_event, kind, _parties(chance, setting, kind), for_s)


def _parties(chance: random.Random, setting: Setting, kind: Kind) -> tuple[DeviceId, ...]:
    names = setting.names
    match kind:
        case "storm":
            return ()
        case "leave" | "hurry" | "flap":
            who = (*names, COORDINATOR) if kind == "leave" else names
            return (chance.choice(who),)
        case "kill" | "power":
            everybody = (*names, COORDINATOR, BROKER) if kind == "kill" else (*names, COORDINATOR)
        case _:
            everybody = (*names, COORDINATOR)
    if chance.random() < 0.15:
        return everybody
    count = chance.choice((1, 1, 1, 2, 3))
    chosen = set(chance.sample(everybody, min(count, len(everybody))))
    return tuple(name for name in everybody if name in chosen)
