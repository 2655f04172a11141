"""A fleet's boards get their speed and links from their cards."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordinator.equipment import equip
from coordinator.fleet import Fleet
from firmware_profiles.shelf import load_shelf
from runtime.config import load
from runtime.errors import ConfigError

HEAD = '[fleet]\nname = "demo"\n'


def fleet(folder: Path, *devices: str) -> tuple[Fleet, Path]:
    path = folder / "fleet.toml"
    path.write_text(HEAD + "".join(f"[[device]]\n{device}\n" for device in devices))
    return load(path, Fleet), path


def test_numbers_come_from_the_card_unless_the_fleet_says_them(tmp_path: Path) -> None:
    named, path = fleet(
        tmp_path,
        'id = "a"\ncut = "x"\nboard = "rpi-4b"\nnetwork = "wifi"',
        'id = "b"\ncut = "x"\nboard = "rpi-4b"\nemulate = { gflops = 3, uplink_mbps = 7 }',
        'id = "c"\ncut = "x"',
    )
    card = load_shelf().card("rpi-4b")
    prior, wifi, best = card.fp32_prior_gflops(), card.link_mbps("wifi"), card.link_mbps()
    assert prior is not None and wifi is not None and best is not None
    a, b, c = (device.emulate for device in equip(named, path).devices)
    assert (a.gflops, a.uplink_mbps, a.downlink_mbps) == (prior.value, wifi.value, wifi.value)
    assert (b.gflops, b.uplink_mbps, b.downlink_mbps) == (3, 7, best.value)
    assert (c.gflops, c.uplink_mbps) == (None, None)


def test_what_nobody_knows_is_asked_for_and_all_at_once(tmp_path: Path) -> None:
    named, path = fleet(
        tmp_path,
        'id = "a"\ncut = "x"\nboard = "rpi-4c"',
        'id = "b"\ncut = "x"\nboard = "jetson-nano"',
    )
    with pytest.raises(ConfigError) as caught:
        equip(named, path)
    keys = [problem.key for problem in caught.value.problems]
    assert keys[0] == "device[0].board"
    assert "device[1].emulate.uplink_mbps" in keys
    assert "rpi-4b" in caught.value.problems[0].fix


def test_a_fleet_without_boards_needs_no_cards(tmp_path: Path) -> None:
    plain, path = fleet(tmp_path, 'id = "a"\ncut = "x"')
    assert equip(plain, path, tmp_path / "no such folder") is plain
