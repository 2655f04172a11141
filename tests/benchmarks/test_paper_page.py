"""The page of the paper's experiment, told from results that are made up."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.paper.contenders import FEDAVG, PAPER, PRODUCT, SPLIT, contenders
from benchmarks.paper.curves import Curve
from benchmarks.paper.page import PAGE
from benchmarks.paper.parts import Parts
from benchmarks.paper.pictures import draw_accuracy, draw_cycles
from benchmarks.paper.proof import Proof
from benchmarks.paper.results import LEARNED, Results, StepTiming
from benchmarks.paper.scene import BUDGETS_MBPS, MODELS
from benchmarks.paper.tables import tables
from benchmarks.paper.timing import Cycles, Timing


def made_up() -> Results:
    """A cycle of every contender takes as many seconds as its place in the list says."""
    timings = tuple(
        Timing(model, budget, one, 1.0, 0.5, ("pi front",), Cycles(place, place), 1, 1)
        for model in MODELS
        for budget in BUDGETS_MBPS
        for one, place in zip(contenders(), range(1, 99), strict=False)
    )
    curves = tuple(Curve(model, one, (0.5, 0.9)) for model in MODELS for one in LEARNED)
    steps = tuple(
        StepTiming(MODELS[0], one, n, 1.0) for one in (PRODUCT, SPLIT, FEDAVG) for n in (5, 80)
    )
    return Results(timings, curves, (Proof(MODELS[0], PRODUCT, 20.0, 2, 0.0, 0.01, 0.0),), steps)


def test_every_table_has_its_place_in_the_page() -> None:
    marks = re.findall(r"<!-- table ([a-z0-9-]+) -->", PAGE.read_text())
    assert sorted(marks) == sorted(tables(made_up()))


def test_ratios_are_against_the_first_row() -> None:
    results = made_up()
    last = results.contenders(MODELS[0])[-1]
    place = len(results.contenders(MODELS[0]))
    rows = tables(results)["cycles-vgg16"].splitlines()
    assert rows[2].endswith("| 1.00 | 1.00 | 1.00 |")
    assert rows[-1].startswith(f"| {last.solver} |")
    assert rows[-1].endswith(f"| {place}.00 | {place}.00 | {place}.00 |")


def test_the_time_to_an_accuracy_is_that_of_its_cycles() -> None:
    results = made_up()
    timing = results.timing(MODELS[0], BUDGETS_MBPS[0], PAPER)
    assert results.seconds_to(timing, 0.9) == 2 * timing.cycles.later_s
    assert results.seconds_to(timing, 0.95) is None


def test_pictures_are_drawn(tmp_path: Path) -> None:
    draw_cycles(made_up(), tmp_path / "cycles.png")
    draw_accuracy(made_up(), tmp_path / "accuracy.png")
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in tmp_path.iterdir())


def test_parts_are_found_once(tmp_path: Path) -> None:
    asked: list[float] = []

    def find(later_s: float) -> Cycles:
        asked.append(later_s)
        return Cycles(1.0, later_s)

    for _ in range(2):
        with ThreadPoolExecutor(1) as pool:
            part = Parts(tmp_path, pool).find(Cycles, "one", find, 2.5)
            assert part.wait() == Cycles(1.0, 2.5)
    assert asked == [2.5]


def test_a_part_that_failed_is_not_kept(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        part = Parts(tmp_path, pool).find(Cycles, "one", _fail)
        with pytest.raises(ValueError, match="no plan"):
            part.wait()
    assert not list(tmp_path.iterdir())


def _fail() -> Cycles:
    raise ValueError("no plan")
