"""What a soak trains, and with whom: a small model that can be cut in four places, on five boards.

Nothing ever happens to `anchor` itself, `wire` has a bad line, `mortal` and `frail` die, and
`guest` comes and goes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import attrs

from coordinator.timeline import Incident
from tests.commands.jobs import tables_of_files, write_job

Lost = Literal["wait", "drop"]

ANCHOR, WIRE, MORTAL, FRAIL, GUEST = "anchor", "wire", "mortal", "frail", "guest"
DEVICES = (ANCHOR, WIRE, MORTAL, FRAIL, GUEST)
WIRED = (WIRE, MORTAL, FRAIL, GUEST)

_SPEEDS = {ANCHOR: 0.1, WIRE: 0.15, MORTAL: 0.1, FRAIL: 0.2, GUEST: 0.15}
_TRAINED, _EVALUATED, _SIDE = 200, 20, 16

_JOB = """
[job]
name = "soak"
rounds = 1000000
local_steps = 4
batch = 8

[optimiser]
name = "adam"
lr = 0.0003

[planner]
name = "optimal"

[policy]
lost = "{lost}"
quorum = 1
gather_limit_s = 8
"""

_MODEL = """
from collections import OrderedDict

from torch import nn


def block(inputs, outputs, stride):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def build():
    return nn.Sequential(
        OrderedDict(
            stem=block(1, 8, 1),
            early=block(8, 16, 2),
            middle=nn.Sequential(block(16, 16, 1), nn.Dropout(0.1)),
            late=block(16, 32, 2),
            head=nn.Sequential(nn.Flatten(), nn.Linear(512, 3)),
        )
    )
"""


def write_scene(folder: Path, timeline: Sequence[Incident], lost: Lost) -> Path:
    """Writes job, fleet, model and data into `folder`; returns the path of the job file."""
    job = _JOB.format(lost=lost) + tables_of_files(_SIDE)
    counts = (_TRAINED, _EVALUATED)
    return write_job(folder, job, _fleet(timeline), _MODEL, side=_SIDE, counts=counts)


def _fleet(timeline: Sequence[Incident]) -> str:
    parts = ['[fleet]\nname = "soak"\n\n[data]\nsource = "train.npz"\n']
    for device, gflops in _SPEEDS.items():
        link = "uplink_mbps = 4.0, downlink_mbps = 8.0"
        parts.append(f'[[device]]\nid = "{device}"\nemulate = {{ gflops = {gflops}, {link} }}\n')
    parts += map(_entry, timeline)
    return "\n".join(parts)


def _entry(incident: Incident) -> str:
    given: dict[str, Any] = attrs.asdict(incident)
    lines = [f"{key} = {json.dumps(value)}" for key, value in given.items() if value is not None]
    return "\n".join(["[[timeline]]", *lines, ""])
