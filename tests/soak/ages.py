"""The lives of processes as a soak saw them: how much each held when young, and when old."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence

from attrs import frozen

from tests.soak.watcher import Sample

_POINTS = 120
"""As many medians the slope is drawn through; more cost time and say no more."""
_S_PER_HOUR = 3600.0

Measure = Callable[[Sample], float]


@frozen
class Life:
    """One process from `warm_up_s` after it was first seen to its end, sample by sample."""

    name: str
    pid: int
    samples: tuple[Sample, ...]

    @property
    def lasted_s(self) -> float:
        return self.samples[-1].at_s - self.samples[0].at_s if self.samples else 0.0

    def young(self, measure: Measure) -> float:
        """Returns the median of its first quarter."""
        return statistics.median(map(measure, self.samples[: max(1, len(self.samples) // 4)]))

    def old(self, measure: Measure) -> float:
        """Returns the median of its last quarter."""
        return statistics.median(map(measure, self.samples[-max(1, len(self.samples) // 4) :]))

    def growth(self, measure: Measure) -> float:
        return self.old(measure) - self.young(measure)

    def per_hour(self, measure: Measure) -> float:
        """Returns the slope: the median of those between any two points (Sen, 1968)."""
        points = _thinned(self.samples, measure)
        slopes = [
            (y - x) / (later - earlier)
            for index, (earlier, x) in enumerate(points)
            for later, y in points[index + 1 :]
        ]
        return statistics.median(slopes) * _S_PER_HOUR if slopes else 0.0


def lives(samples: Sequence[Sample], warm_up_s: float) -> list[Life]:
    """Returns every process's life, those that did not outlast the warm-up without samples."""
    by_process: dict[tuple[str, int], list[Sample]] = defaultdict(list)
    for one in samples:
        by_process[one.name, one.pid].append(one)
    return [
        Life(name, pid, tuple(one for one in seen if one.at_s >= seen[0].at_s + warm_up_s))
        for (name, pid), seen in by_process.items()
    ]


def _thinned(samples: Sequence[Sample], measure: Measure) -> list[tuple[float, float]]:
    size = -(-len(samples) // _POINTS) or 1
    groups = [samples[start : start + size] for start in range(0, len(samples), size)]
    return [
        (
            statistics.median(one.at_s for one in group),
            statistics.median(map(measure, group)),
        )
        for group in groups
    ]
