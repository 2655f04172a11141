"""[[timeline]] in fleet files: what is read, and how mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordinator.fleet import Fleet
from coordinator.timeline import BROKER, Incident
from runtime.config import load
from runtime.errors import ConfigError
from runtime.ids import COORDINATOR

FLEET = """
[fleet]
name = "demo"

[[device]]
id = "left"
cut = "block1"

[[device]]
id = "right"
cut = "block1"
emulate = { uplink_mbps = 20 }
"""


def _write(folder: Path, *entries: str) -> Path:
    path = folder / "fleet.toml"
    path.write_text(FLEET + "".join(f"[[timeline]]\n{entry}\n" for entry in entries))
    return path


def test_entries_are_read(tmp_path: Path) -> None:
    path = _write(
        tmp_path,
        'do = "throttle"\ndevice = "right"\nround = 5\nfor_rounds = 8\ntimes = 5',
        'do = "kill"\nprocess = "coordinator"\nat_s = 10\nfor_s = 2',
        'do = "kill"\nprocess = "broker"\nat_s = 0\nfor_s = 0.5',
    )
    timeline = load(path, Fleet).timeline
    assert timeline[0] == Incident("throttle", "right", round=5, for_rounds=8, times=5.0)
    assert [one.party for one in timeline] == ["right", COORDINATOR, BROKER]


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ('do = "vanish"', "do: there is no 'vanish'"),
        ('do = "leave"\nat_s = 1', "device: it is missing; add device or process"),
        ('do = "leave"\nat_s = 1\ndevice = "middle"', "device: fleet demo has no 'middle'"),
        ('do = "leave"\ndevice = "left"', "at_s: it is missing; add at_s or round"),
        ('do = "leave"\ndevice = "left"\nat_s = 1\nround = 2', "round: at_s is given too"),
        (
            'do = "leave"\ndevice = "left"\nat_s = 1\nfor_s = 1\nfor_rounds = 1',
            "for_rounds: for_s already says when it is over",
        ),
        ('do = "throttle"\ndevice = "left"\nat_s = 1', "times: a throttled link has either"),
        (
            'do = "throttle"\ndevice = "right"\nat_s = 1\ntimes = 2\nuplink_mbps = 1',
            "times: a throttled link has either rates or times",
        ),
        (
            'do = "throttle"\ndevice = "left"\nat_s = 1\ntimes = 2',
            "times: nothing says how fast the link of left is",
        ),
        ('do = "slow"\ndevice = "left"\nat_s = 1', "times: it is missing"),
        ('do = "cut"\ndevice = "left"\nat_s = 1\ntimes = 2', "times: cut has none; remove it"),
        ('do = "cut"\ndevice = "left"\nat_s = 1\nuplink_mbps = 2', "uplink_mbps: cut has no rates"),
        ('do = "restore"\ndevice = "left"\nat_s = 1\nfor_s = 2', "for_s: what is restored stays"),
        ('do = "leave"\nprocess = "broker"\nat_s = 1', "do: the broker can only be killed"),
        ('do = "kill"\nprocess = "coordinator"\nat_s = 1', "for_s: without its coordinator"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, entry: str, told: str) -> None:
    path = _write(tmp_path, entry)
    with pytest.raises(ConfigError) as caught:
        load(path, Fleet)
    assert f"{path}: timeline[0].{told}" in str(caught.value)
