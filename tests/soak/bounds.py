"""What a soak holds processes and folders to, and what it found."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from attrs import frozen

from tests.soak.ages import Life, Measure, lives
from tests.soak.scene import ANCHOR, DEVICES, WIRE
from tests.soak.watcher import BROKER, COORDINATOR, OTHER, STAGE, ZOMBIE, Kept, Sample

MB = 1e6
KIB = 1024

SLOPE_AFTER_S = 600.0
"""A life must have been watched so long for its slope to be more than noise."""
PROGRAMS_KEPT_FILES = 18
"""Sixteen programs, the count of starts, and a file that is being written."""
STATE_BYTES = 512 * KIB
LONGEST_PAUSE_S = 60.0
ZOMBIES = 4


@frozen
class Allowance:
    """What a process may hold. `spare` is above its median for a moment, `drift` for good."""

    ceiling_mb: float
    growth_mb: float
    slope_mb_per_hour: float
    drift: int = 0
    spare_threads: int = 2
    spare_descriptors: int = 12


AGENT = Allowance(150, 4, 15)
ALLOWED: dict[str, Allowance] = {
    **dict.fromkeys(DEVICES, AGENT),
    COORDINATOR: Allowance(600, 12, 40),
    # Its proxies hold the sockets of lines that have gone silent until both sides give them up.
    STAGE: Allowance(150, 6, 20, drift=6, spare_descriptors=40),
}
BROKER_CEILING_MB = 600.0
"""iotcore keeps what was published up to its limits; it is not ours to mend."""

PER_ROUND_BYTES = {"plans.jsonl": KIB * len(DEVICES), "rounds.jsonl": 2 * KIB * len(DEVICES)}
PER_INCIDENT_BYTES = 2 * KIB
"""Of events and of each log."""
PER_START_BYTES = 16 * KIB
"""Of events, for each start of a coordinator: it measures all devices."""


@frozen
class Finding:
    """A figure and the bound that it must not exceed."""

    what: str
    found: float
    bound: float
    unit: str = ""

    @property
    def kept(self) -> bool:
        return self.found <= self.bound

    def __str__(self) -> str:
        verdict = "ok  " if self.kept else "LEAK"
        return f"{verdict} {self.what}: {self.found:,.1f} of {self.bound:,.1f} {self.unit}".rstrip()


@frozen
class Course:
    """What a soak's findings depend on beside what was seen."""

    seconds: float
    incidents: int
    rounds: int
    rescues: int

    @property
    def warm_up_s(self) -> float:
        """So long after its start a process may still grow."""
        return min(60.0, self.seconds / 3)

    @property
    def long_s(self) -> float:
        """What counts as a long life."""
        return max(self.seconds / 5, 40.0)


def findings(samples: Sequence[Sample], kept: Sequence[Kept], course: Course) -> list[Finding]:
    """Returns everything that a soak is held to."""
    everybody = lives(samples, course.warm_up_s)
    return [
        Finding("processes that died by themselves", course.rescues, 0),
        *_crowd(samples, course),
        *(one for life in everybody for one in _aged(life, course)),
        *_ceilings(samples),
        *_disk(kept, Counter(life.name for life in everybody)[COORDINATOR], course),
        *_progress(kept, course),
    ]


def _crowd(samples: Sequence[Sample], course: Course) -> Iterator[Finding]:
    zombies = Counter(one.at_s for one in samples if one.name == ZOMBIE)
    yield Finding("zombies at a time", max(zombies.values(), default=0), ZOMBIES)
    everybody = lives(samples, course.warm_up_s)
    strangers = sum(life.name == OTHER and bool(life.samples) for life in everybody)
    yield Finding("processes that stay and nobody knows", strangers, 0)
    old = {life.name for life in everybody if life.lasted_s >= course.long_s}
    unjudged = len({STAGE, COORDINATOR, ANCHOR, WIRE} - old)
    yield Finding("long-lived processes that did not live long", unjudged, 0)


def _aged(life: Life, course: Course) -> Iterator[Finding]:
    """What a process that lived long holds when it is old."""
    allowed = ALLOWED.get(life.name)
    if allowed is None or life.lasted_s < course.long_s:
        return
    who = f"{life.name} ({life.pid})"
    yield Finding(f"{who}: memory grew", life.growth(rss_mb), allowed.growth_mb, "MB")
    if life.lasted_s >= SLOPE_AFTER_S:
        slope = life.per_hour(rss_mb)
        yield Finding(f"{who}: memory's slope", slope, allowed.slope_mb_per_hour, "MB an hour")
    for what, measure, spare in (
        ("threads", threads, allowed.spare_threads),
        ("descriptors", descriptors, allowed.spare_descriptors),
    ):
        yield Finding(f"{who}: {what} grew", life.growth(measure), allowed.drift)
        most = max(map(measure, life.samples))
        yield Finding(f"{who}: most {what}", most, life.young(measure) + allowed.drift + spare)


def _ceilings(samples: Sequence[Sample]) -> Iterator[Finding]:
    most_mb: dict[str, float] = defaultdict(float)
    for one in samples:
        most_mb[one.name] = max(most_mb[one.name], rss_mb(one))
    limits = {name: allowed.ceiling_mb for name, allowed in ALLOWED.items()}
    for name, limit_mb in {**limits, BROKER: BROKER_CEILING_MB}.items():
        yield Finding(f"{name}: most memory", most_mb[name], limit_mb, "MB")


def _disk(kept: Sequence[Kept], starts: int, course: Course) -> Iterator[Finding]:
    last = {one.name: one for one in kept}
    for name in sorted(last):
        yield from _file_findings(last[name], starts, course)
    looks = Counter(one.name for one in kept if one.at_s >= course.seconds * 0.75)
    strangers = [name for name in looks if name.startswith(".") and looks[name] >= 10]
    yield Finding("orphaned temporary files", len(strangers), 0)


def _file_findings(one: Kept, starts: int, course: Course) -> Iterator[Finding]:
    told_bytes = PER_INCIDENT_BYTES * (course.incidents + 4)
    match _in_the_end(one.name):
        case "plans.jsonl" | "rounds.jsonl" as name:
            bound = PER_ROUND_BYTES[name] * (course.rounds + 1)
            yield Finding(f"{name}: size", one.bytes / KIB, bound / KIB, "KiB")
        case "events.jsonl":
            bound = told_bytes + PER_START_BYTES * starts
            yield Finding("events.jsonl: size", one.bytes / KIB, bound / KIB, "KiB")
        case "checkpoint.safetensors" | "job.json":
            yield Finding(f"{one.name}: size", one.bytes / KIB, 512, "KiB")
        case "scratch":
            yield Finding("temporary files", one.files, 4)
        case name if name.endswith("/state"):
            yield Finding(f"{name}: files", one.files, PROGRAMS_KEPT_FILES)
            yield Finding(f"{name}: size", one.bytes / KIB, STATE_BYTES / KIB, "KiB")
        case name:
            yield Finding(f"{name}: size", one.bytes / KIB, told_bytes / KIB, "KiB")


def _in_the_end(name: str) -> str:
    """Returns the name that a file has when it is written: `.name.7` is `name`."""
    return name.removeprefix(".").rpartition(".")[0] if name.startswith(".") else name


def _progress(kept: Sequence[Kept], course: Course) -> Iterator[Finding]:
    """How long no round was closed, from the first one on."""
    sizes = [(one.at_s, one.bytes) for one in kept if one.name == "rounds.jsonl"]
    closings = [later for (_, x), (later, y) in pairwise([(0.0, 0), *sizes]) if y > x]
    pauses = [later - earlier for earlier, later in pairwise([*closings, course.seconds])]
    longest_s = max(pauses, default=course.seconds)
    yield Finding("longest time without a closed round", longest_s, LONGEST_PAUSE_S, "s")


def rss_mb(sample: Sample) -> float:
    return sample.rss_bytes / MB


def threads(sample: Sample) -> float:
    return sample.threads


def descriptors(sample: Sample) -> float:
    return sample.descriptors


MEASURES: tuple[Measure, ...] = (rss_mb, threads, descriptors)
