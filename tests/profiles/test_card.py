"""What a card tells a planner, and what it refuses to guess."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware_profiles.card import BoardCard
from firmware_profiles.card_file import read_card
from firmware_profiles.shelf import load_shelf
from tests.profiles.cards import MINIMAL, figure, write_card


def card_with(folder: Path, text: str) -> BoardCard:
    return read_card(write_card(folder, MINIMAL + text))


def test_what_nobody_measured_is_absent(tmp_path: Path) -> None:
    card = card_with(tmp_path, "")
    assert card.fp32_prior_gflops() is None
    assert card.usable_memory_bytes() is None
    assert card.link_mbps() is None
    assert card.gaps() == ("fp32 rate", "usable memory", "link rate")
    assert [found for _, found in card.figures()] == [None] * len(list(card.figures()))


def test_a_measured_rate_goes_before_the_bound(tmp_path: Path) -> None:
    both = f"""
[compute]
fp64_hpl_gflops = {figure(30, "GFLOPS")}
fp32_effective_gflops = {figure(20, "GFLOPS")}
"""
    card = card_with(tmp_path, both)
    assert card.fp32_prior_gflops() == card.compute.fp32_effective_gflops
    assert "fp32 rate" not in card.gaps()


def test_the_bound_is_twice_hpl_and_says_so(tmp_path: Path) -> None:
    hpl = figure(30, "GFLOPS", ', high = 40, software = "HPL"')
    card = card_with(tmp_path, f"[compute]\nfp64_hpl_gflops = {hpl}\n")
    prior = card.fp32_prior_gflops()
    assert prior is not None
    assert (prior.value, prior.high, prior.unit, prior.kind) == (60, 80, "GFLOPS", "derived")
    assert prior.how.startswith("an upper bound") and "with a stopwatch" in prior.how
    assert prior.source == "our own"
    assert "fp32 rate" in card.gaps()


def test_memory_is_given_in_bytes() -> None:
    usable = load_shelf().card("rpi-zero-2w").usable_memory_bytes()
    assert usable is not None
    assert (usable.value, usable.unit) == (427 * 2**20, "B")


def test_the_fastest_measured_link_is_taken_unless_one_is_named() -> None:
    board = load_shelf().card("rpi-4b")
    rates = [board.link_mbps(), board.link_mbps("ethernet"), board.link_mbps("wifi")]
    assert [rate and rate.value for rate in rates] == [939, 939, 108]


def test_a_measured_link_goes_before_a_nominal_one(tmp_path: Path) -> None:
    card = card_with(
        tmp_path,
        f"""
[[network]]
kind = "ethernet"
nominal_mbps = {figure(1000, "Mbit/s")}

[[network]]
kind = "wifi"
measured_mbps = {figure(40, "Mbit/s")}
""",
    )
    rates = [card.link_mbps(), card.link_mbps("ethernet")]
    assert [rate and rate.value for rate in rates] == [40, 1000]


@pytest.mark.parametrize(
    ("board", "fp16", "dotprod"),
    [
        ("rpi-4b", False, False),
        ("rpi-5", True, True),
        ("jetson-xavier-nx", True, False),
        ("rpi-3b-plus", None, None),
    ],
)
def test_what_the_cores_can_follows_from_their_flags(
    board: str, fp16: bool | None, dotprod: bool | None
) -> None:
    cpu = load_shelf().card(board).cpu
    assert (cpu.fp16_arith, cpu.dotprod) == (fp16, dotprod)


def test_figures_have_dotted_keys() -> None:
    found = dict(load_shelf().card("jetson-nano").figures())
    first, peak = found["power.modes_w[0]"], found["memory.peak_gb_per_s"]
    assert (str(first), str(peak)) == ("5 W", "25.6 GB/s")
    assert found["cpu.clusters[0].max_mhz"] is not None
    assert found["power.idle_w"] is None
