"""The verdict of a soak on made-up samples: what stays flat passes, planted leaks show."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest

from tests.docs.page import DOCS, section, table
from tests.soak.bounds import ALLOWED, Course, Finding, findings
from tests.soak.report import disk_table, process_table, verdict
from tests.soak.scene import ANCHOR, DEVICES
from tests.soak.watcher import BROKER, COORDINATOR, OTHER, STAGE, ZOMBIE, Kept, Sample

COURSE = Course(seconds=1200, incidents=200, rounds=1000, rescues=0)
SIZES = {"rounds.jsonl": 3000, "plans.jsonl": 2000, "events.jsonl": 100}
FIXED = {"checkpoint.safetensors": 100_000, "anchor.log": 900, "anchor/state": 40_000}
OPERATING = DOCS / "operating.md"

Plant = Callable[[Sample], Sample]


def _samples(plant: Plant = lambda one: one) -> list[Sample]:
    """Twenty minutes of processes that never end and never grow, but for what is planted."""
    parties = enumerate((STAGE, COORDINATOR, BROKER, *DEVICES), start=1)
    return [
        plant(Sample(float(second), name, pid, 80_000_000 + second % 7 * 10_000, 6, 9))
        for pid, name in parties
        for second in range(1200)
    ]


def _kept() -> list[Kept]:
    growing = [
        Kept(float(second), name, second * bytes, 1)
        for name, bytes in SIZES.items()
        for second in range(1200)
    ]
    fixed = [Kept(float(at), name, size, 4) for name, size in FIXED.items() for at in range(1200)]
    return [*growing, *fixed]


def _leaks(samples: list[Sample], kept: list[Kept], course: Course = COURSE) -> list[Finding]:
    return [one for one in findings(samples, kept, course) if not one.kept]


def _of(name: str, change: Callable[[Sample], Sample]) -> Plant:
    return lambda one: change(one) if one.name == name else one


def test_what_stays_flat_passes() -> None:
    found = findings(_samples(), _kept(), COURSE)
    assert all(one.kept for one in found)
    assert verdict(found).endswith(f"{len(found)} bounds, all kept")


@pytest.mark.parametrize(
    ("plant", "told"),
    [
        # 8 MB in twenty minutes, of an agent; 20 MB, of the coordinator
        (
            _of(ANCHOR, lambda one: attrs.evolve(one, rss_bytes=80_000_000 + int(one.at_s * 7e3))),
            ["anchor (4): memory grew", "anchor (4): memory's slope"],
        ),
        (
            _of(COORDINATOR, lambda one: attrs.evolve(one, rss_bytes=int(one.at_s * 20e3))),
            ["coordinator (2): memory grew", "coordinator (2): memory's slope"],
        ),
        # one thread or descriptor that is never given back
        (
            _of(ANCHOR, lambda one: attrs.evolve(one, threads=6 + int(one.at_s > 600))),
            ["anchor (4): threads grew"],
        ),
        (
            _of(COORDINATOR, lambda one: attrs.evolve(one, descriptors=9 + int(one.at_s > 600))),
            ["coordinator (2): descriptors grew"],
        ),
        # a burst
        (
            _of(ANCHOR, lambda one: attrs.evolve(one, descriptors=9 + 20 * (one.at_s == 700.0))),
            ["anchor (4): most descriptors"],
        ),
        (
            _of(STAGE, lambda one: attrs.evolve(one, rss_bytes=400_000_000)),
            ["stage: most memory"],
        ),
    ],
)
def test_a_planted_leak_of_a_process_shows(plant: Plant, told: list[str]) -> None:
    assert [one.what for one in _leaks(_samples(plant), _kept())] == told


def test_the_slope_is_that_which_was_planted() -> None:
    grown = _of(ANCHOR, lambda one: attrs.evolve(one, rss_bytes=int(one.at_s * 10e3)))
    slopes = [
        one.found
        for one in findings(_samples(grown), _kept(), COURSE)
        if one.what == "anchor (4): memory's slope"
    ]
    assert slopes == [pytest.approx(36.0, rel=0.01)]
    assert "| anchor | 1 | 1139 |" in process_table(_samples(grown), COURSE)


def test_the_dead_and_strangers_show() -> None:
    dead = [Sample(500.0, ZOMBIE, pid, 0, 0, 0) for pid in range(100, 105)]
    stranger = [Sample(float(at), OTHER, 200, 1, 1, 1) for at in range(300, 400)]
    told = [one.what for one in _leaks([*_samples(), *dead, *stranger], _kept())]
    assert told == ["zombies at a time", "processes that stay and nobody knows"]


def test_a_soak_whose_long_lived_died_is_no_soak() -> None:
    short = _of(ANCHOR, lambda one: attrs.evolve(one, pid=1000 + int(one.at_s) // 100))
    told = [one.what for one in _leaks(_samples(short), _kept())]
    assert told == ["long-lived processes that did not live long"]


@pytest.mark.parametrize(
    ("name", "size_bytes", "files", "told"),
    [
        ("rounds.jsonl", 100_000_000, 1, "rounds.jsonl: size"),
        ("plans.jsonl", 100_000_000, 1, "plans.jsonl: size"),
        ("events.jsonl", 100_000_000, 1, "events.jsonl: size"),
        ("anchor.log", 10_000_000, 1, "anchor.log: size"),
        ("checkpoint.safetensors", 1_000_000, 1, "checkpoint.safetensors: size"),
        ("anchor/state", 10_000, 40, "anchor/state: files"),
        ("anchor/state", 1_000_000, 4, "anchor/state: size"),
        ("scratch", 10, 9, "temporary files"),
    ],
)
def test_a_file_that_grows_shows(name: str, size_bytes: int, files: int, told: str) -> None:
    grown = [*_kept(), Kept(1200.0, name, size_bytes, files)]
    assert [one.what for one in _leaks(_samples(), grown)] == [told]
    assert f"| {name} | " in disk_table(grown)


def test_orphans_show_and_what_is_being_written_does_not() -> None:
    writing = Kept(1000.0, ".checkpoint.safetensors.7", 500_000, 1)
    assert _leaks(_samples(), [*_kept(), writing]) == []
    orphan = [attrs.evolve(writing, at_s=float(at)) for at in range(1000, 1200)]
    told = [one.what for one in _leaks(_samples(), [*_kept(), *orphan])]
    assert "orphaned temporary files" in told


def test_standing_still_and_rescues_show() -> None:
    stuck = [one for one in _kept() if one.name != "rounds.jsonl" or one.at_s < 1100]
    died = attrs.evolve(COURSE, rescues=1)
    told = [one.what for one in _leaks(_samples(), stuck, died)]
    assert told == ["processes that died by themselves", "longest time without a closed round"]


def test_the_bounds_are_those_that_operators_read() -> None:
    rows = table(section(OPERATING, "Soak"))
    allowed = [ALLOWED[ANCHOR], ALLOWED[COORDINATOR], ALLOWED[STAGE]]
    assert [tuple(row[1:]) for row in rows[:3]] == [
        (f"{one.ceiling_mb}", f"{one.growth_mb}", f"{one.slope_mb_per_hour}", f"{one.drift}")
        for one in allowed
    ]
