from __future__ import annotations

from pathlib import Path

import pytest

from coordinator.fleet import Fleet
from runtime.config import load
from runtime.errors import ConfigError, Problem

TWO = """
[fleet]
name = "demo"

[[device]]
id = "left"
cut = "block1"

[[device]]
id = "right"
cuts = [{ round = 1, cut = "block2" }, { round = 21, cut = "block3" }]
batch = 8
augment = ["flip", "noise"]
data = "right.npz"
emulate = { gflops = 2, uplink_mbps = 20 }
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "fleet.toml"
    path.write_text(text)
    return path


def problems(path: Path) -> dict[str, Problem]:
    with pytest.raises(ConfigError) as caught:
        load(path, Fleet)
    return {problem.key: problem for problem in caught.value.problems}


def test_a_fleet_knows_the_cut_of_each_round(tmp_path: Path) -> None:
    fleet = load(write(tmp_path, TWO), Fleet)
    assert (fleet.name, fleet.ids, fleet.base) == ("demo", ("left", "right"), tmp_path)
    assert [fleet.cut_at("left", round) for round in (1, 40)] == ["block1", "block1"]
    cuts = [fleet.cut_at("right", round) for round in (1, 20, 21, 40)]
    assert cuts == ["block2", "block2", "block3", "block3"]


def test_a_device_may_override_the_job(tmp_path: Path) -> None:
    right = load(write(tmp_path, TWO), Fleet).device("right")
    assert (right.batch, right.augment, right.data) == (8, ("flip", "noise"), "right.npz")
    assert (right.emulate.gflops, right.emulate.downlink_mbps) == (2.0, None)


def test_an_unknown_device_is_a_key_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        load(write(tmp_path, TWO), Fleet).cut_at("middle", 1)


def test_the_mistakes_of_all_devices_are_reported_at_once(tmp_path: Path) -> None:
    text = """
    [fleet]
    name = "a/b"
    [data]
    source = "x.npz"
    partition = "dirichlet"
    [[device]]
    id = "one"
    network = "wired"
    [[device]]
    id = "two"
    cut = "block1"
    cuts = [{ round = 1, cut = "block2" }]
    [[device]]
    id = "three"
    cuts = [{ round = 2, cut = "a" }, { round = 2, cut = "b" }]
    [[device]]
    id = "four"
    cut = "block1"
    augment = ["flop"]
    emulate = { gflops = 1, step_s = 0.1 }
    [[device]]
    id = "five"
    cut = "block1"
    emulate = { uplink_mbps = 0 }
    """
    found = problems(write(tmp_path, text))
    assert list(found) == [
        "fleet.name",
        "device[0].network",
        "device[1].cuts",
        "device[2].cuts[0].round",
        "device[2].cuts[1].round",
        "device[3].augment[0]",
        "device[3].emulate.step_s",
        "device[4].emulate.uplink_mbps",
        "data.alpha",
    ]
    assert found["device[3].augment[0]"].fix == "did you mean 'flip'?"


def test_devices_have_ids_of_their_own(tmp_path: Path) -> None:
    found = problems(write(tmp_path, TWO.replace('"right"', '"left"')))
    assert "'left'" in found["device"].message


@pytest.mark.parametrize("devices", ["", "device = []\n"])
def test_a_fleet_has_a_device(tmp_path: Path, devices: str) -> None:
    text = f'{devices}[fleet]\nname = "demo"\n'
    assert list(problems(write(tmp_path, text))) == ["device"]


def test_no_device_may_be_called_coordinator(tmp_path: Path) -> None:
    path = write(tmp_path, TWO.replace('"left"', '"coordinator"'))
    assert list(problems(path)) == ["device[0].id"]


def test_an_iid_partition_has_no_alpha(tmp_path: Path) -> None:
    path = write(tmp_path, TWO + '[data]\nsource = "x.npz"\nalpha = 0.5\n')
    assert list(problems(path)) == ["data.alpha"]
