"""A soak in words: what every process held, what every folder kept, and the verdict."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from tests.soak.ages import Life, lives
from tests.soak.bounds import MEASURES, Course, Finding, rss_mb
from tests.soak.watcher import ZOMBIE, Kept, Sample

_HEAD = (
    "| process | starts | longest life s | memory MB min / median / max | MB an hour "
    "| threads min / median / max | descriptors min / median / max |\n"
    "|---|---|---|---|---|---|---|"
)


def process_table(samples: Sequence[Sample], course: Course) -> str:
    """Returns a row for every name; figures are those after each start's warm-up.

    The slope is that of the longest life.
    """
    by_name: dict[str, list[Life]] = {}
    for life in lives(samples, course.warm_up_s):
        if life.name != ZOMBIE:
            by_name.setdefault(life.name, []).append(life)
    return "\n".join([_HEAD, *(_row(name, by_name[name]) for name in sorted(by_name))])


def disk_table(kept: Sequence[Kept]) -> str:
    """Returns what every file and folder occupied at most, and at the end."""
    most: dict[str, Kept] = {}
    last: dict[str, Kept] = {}
    for one in kept:
        last[one.name] = one
        if one.bytes >= most.get(one.name, one).bytes:
            most[one.name] = one
    rows = [
        f"| {name} | {most[name].bytes / 1024:,.1f} | {one.bytes / 1024:,.1f} | {one.files} |"
        for name, one in sorted(last.items())
        if not name.startswith(".")
    ]
    return "\n".join(["| kept | most KiB | at the end KiB | files |", "|---|---|---|---|", *rows])


def verdict(found: Sequence[Finding]) -> str:
    """Returns every finding, and how many exceed their bounds."""
    leaks = sum(not one.kept for one in found)
    told = f"{len(found)} bounds, {leaks} exceeded" if leaks else f"{len(found)} bounds, all kept"
    return "\n".join([*map(str, found), told])


def _row(name: str, lived: Sequence[Life]) -> str:
    longest = max(lived, key=lambda life: life.lasted_s)
    ranges = list(_ranges([one for life in lived for one in life.samples]))
    slope = f"{longest.per_hour(rss_mb):+.1f}" if longest.samples else "-"
    memory, *others = ranges
    cells = [name, str(len(lived)), f"{longest.lasted_s:.0f}", memory, slope, *others]
    return f"| {' | '.join(cells)} |"


def _ranges(samples: Sequence[Sample]) -> Iterator[str]:
    for measure, form in zip(MEASURES, (".1f", ".0f", ".0f"), strict=True):
        seen = [measure(one) for one in samples]
        if seen:
            figures = (min(seen), statistics.median(seen), max(seen))
            yield " / ".join(format(figure, form) for figure in figures)
        else:
            yield "-"
