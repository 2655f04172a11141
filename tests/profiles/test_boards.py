"""The cards that ship: sound, sourced, and consistent with what they were derived from."""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import firmware_profiles
from firmware_profiles.card import BoardCard
from firmware_profiles.card_file import read_card
from firmware_profiles.figure import UNITS, Figure
from firmware_profiles.shelf import load_shelf

ROOT = Path(firmware_profiles.__file__).parents[1]
FILES = sorted((ROOT / "firmware_profiles" / "boards").glob("*.toml"))
SUPPORTED = {
    "rpi-zero-2w",
    "rpi-3b-plus",
    "rpi-4b",
    "rpi-cm4",
    "rpi-5",
    "orange-pi-5",
    "rock-5b",
    "lattepanda-mu",
}
COMMUNITY = {
    "jetson-nano",
    "jetson-xavier-nx",
    "jetson-orin-nano",
    "odroid-n2-plus",
    "radxa-zero",
    "radxa-x4",
    "imx8mp-evk",
    "beaglebone-ai64",
}
GFLOP_OF_MOBILENET = 2 * 0.569


def figures(card: BoardCard) -> dict[str, Figure]:
    return {key: figure for key, figure in card.figures() if figure is not None}


def test_the_shelf_holds_every_board_that_was_promised() -> None:
    cards = list(load_shelf())
    assert {card.id for card in cards if card.status == "supported"} == SUPPORTED
    assert {card.id for card in cards if card.status == "community"} == COMMUNITY
    assert len(cards) == len(FILES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_number_says_where_it_comes_from(path: Path) -> None:
    card = read_card(path)
    assert card.id == path.stem
    found = figures(card)
    assert found
    for key, figure in found.items():
        assert figure.unit in UNITS.values(), key
        assert len(figure.source) > 5, key
        assert len(figure.how) > 3, key
        assert datetime.date(2015, 1, 1) < figure.date <= datetime.date(2026, 11, 21), key


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_figure_of_the_file_is_lost_on_the_way(path: Path) -> None:
    assert len(figures(read_card(path))) == path.read_text().count("{ value = ")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_derived_rates_follow_from_the_times_they_name(path: Path) -> None:
    for key, figure in figures(read_card(path)).items():
        if "MobileNet" not in figure.how:
            continue
        times_s = [float(text) / 1e3 for text in re.findall(r"([\d.]+) ms", figure.how)]
        rates = [figure.value] if figure.high is None else [figure.value, figure.high]
        assert figure.kind == "derived", key
        assert rates == pytest.approx([GFLOP_OF_MOBILENET / time_s for time_s in times_s], rel=0.01)


def test_float16_rates_are_not_taken_for_float32() -> None:
    """ncnn calculates in float16 wherever a core can, so such a core has no float32 rate of it."""
    for card in load_shelf():
        figure = card.compute.fp32_effective_gflops
        if figure is not None and "ncnn" in figure.source:
            assert card.cpu.fp16_arith is not True, card.id


def test_supported_boards_have_a_rate_to_start_from() -> None:
    for board in SUPPORTED:
        assert load_shelf().card(board).fp32_prior_gflops() is not None


def test_versions_of_onnxruntime_that_crash_are_not_recommended() -> None:
    for card in load_shelf():
        assert card.onnxruntime is not None
        assert card.onnxruntime.requires == ">=1.22"
        tested = {version for test in card.onnxruntime.smoke_tested for version in test.versions}
        assert not tested & set(card.onnxruntime.excluded)
        assert bool(card.onnxruntime.providers) == bool(tested), card.id


def test_the_wheel_holds_the_cards(tmp_path: Path) -> None:
    source = tmp_path / "source"
    ours = (ROOT / "firmware_profiles").rglob("*.*")
    for path in (ROOT / "pyproject.toml", ROOT / "README.md", *ours):
        if path.suffix in (".toml", ".md", ".py"):
            copy = source / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    program = "import sys, setuptools.build_meta as build; build.build_wheel(sys.argv[1])"
    command = [sys.executable, "-c", program, str(tmp_path)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"firmware_profiles/boards/{path.name}" for path in FILES} <= set(names)
