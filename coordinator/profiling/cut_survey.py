"""A model's cuts as a surveyor sees them: what each asks of a board and of the server."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING

from attrs import frozen

from coordinator.cut_codecs import CutCodecs
from coordinator.plan import Assignment
from coordinator.profiling.device_profile import DeviceProfile
from coordinator.profiling.time_model import Load
from runtime.emulation_spec import TRAINING_FACTOR
from runtime.ids import DeviceId
from runtime.presence import DevicePresence

if TYPE_CHECKING:
    from coordinator.cutting.traced_model import Cut

LoadsAt = Mapping[int, Mapping[str, Load]]
"""By batch and by cut."""


@frozen
class CutSurvey:
    """Chooses what to probe: the shallowest, a middle and the deepest cut that fit a board.

    Where one of them is refused, further probes halve what lies between it and those that ran.

    `cuts` are those to choose from, in order from input to output, the whole model last if it is
    one of them; `flops_per_sample` is the whole model's. `known` are more, which plans may name
    that were made elsewhere.
    """

    cuts: tuple[Cut, ...]
    flops_per_sample: int
    batches: Mapping[DeviceId, int]
    codecs: CutCodecs
    known: tuple[Cut, ...] = ()

    def probes(self, birth: DevicePresence) -> tuple[Assignment, ...]:
        """Returns the cuts to probe, the shallowest first; of equal work, one is enough."""
        batch = self.batches[birth.device]
        limit = birth.limits.memory_bytes if birth.limits else None
        fitting = [
            cut for cut in self.cuts if limit is None or cut.training_memory_bytes(batch) <= limit
        ]
        # A board that nothing seems to fit may know better than an estimate.
        chosen = _three_of(fitting or list(self.cuts[:1]))
        return tuple(self.codecs.assignment(birth.device, cut.name, batch) for cut in chosen)

    def part(self, device: DeviceId, cut: str) -> Assignment | None:
        """Returns what is asked of a device at a cut, None where there is no such."""
        if device not in self.batches or cut not in self._by_name:
            return None
        return self.codecs.assignment(device, cut, self.batches[device])

    def nearer(self, device: DeviceId, profile: DeviceProfile) -> tuple[Assignment, ...]:
        """Returns a probe half-way between the deepest cut that ran and the first refused.

        There is none where nothing was refused, or no cut that seems to fit lies between them.
        """
        batch, known = self.batches[device], len(self.offered(profile))
        between = [
            cut
            for cut in self._before(profile.refused)[known:]
            if cut.training_memory_bytes(batch) <= profile.memory_bytes
        ]
        half_way = between[len(between) // 2 :][:1]
        return tuple(self.codecs.assignment(device, cut.name, batch) for cut in half_way)

    def offered(self, profile: DeviceProfile) -> tuple[Cut, ...]:
        """Returns the cuts that plans may give a board: once it refused one, up to what ran.

        Whatever it was refused for may lie in front of the cut that was, but not in what ran.
        """
        before = self._before(profile.refused)
        if before == self.cuts:
            return before
        ran = [place for place, cut in enumerate(before, 1) if cut.name in profile.probed]
        return before[: max(ran, default=0)]

    def _before(self, refused: Container[str]) -> tuple[Cut, ...]:
        """Returns the cuts in front of the first that is refused: deeper ones hold its layers."""
        return tuple(takewhile(lambda cut: cut.name not in refused, self.cuts))

    def device_load(self, assignment: Assignment) -> Load:
        return self.load_at(self._by_name[assignment.cut], assignment.batch)

    def server_load(self, assignment: Assignment) -> Load:
        return self.work_at(self._by_name[assignment.cut], assignment.batch)

    @cached_property
    def loads(self) -> LoadsAt:
        """What a local step asks of a board."""
        return self._everywhere(self.load_at)

    @cached_property
    def works(self) -> LoadsAt:
        """What a local step asks of the server."""
        return self._everywhere(self.work_at)

    def _everywhere(self, at: Callable[[Cut, int], Load]) -> LoadsAt:
        batches = set(self.batches.values())
        return {batch: {cut.name: at(cut, batch) for cut in self.cuts} for batch in batches}

    def load_at(self, cut: Cut, batch: int) -> Load:
        """Returns what a local step asks of the board."""
        flops = TRAINING_FACTOR * batch * cut.device_flops_per_sample
        return Load(flops, float(batch * cut.training_memory_bytes_per_sample))

    def work_at(self, cut: Cut, batch: int) -> Load:
        """Returns what a local step asks of the server."""
        flops = TRAINING_FACTOR * batch * (self.flops_per_sample - cut.device_flops_per_sample)
        return Load(flops, float(batch * cut.smashed_bytes_per_sample))

    @cached_property
    def _by_name(self) -> Mapping[str, Cut]:
        cuts = (*self.known, *self.cuts)
        return {name: cut for cut in cuts for name in (*cut.aliases, cut.name)}


def _three_of(cuts: list[Cut]) -> list[Cut]:
    """Returns first, last, and the one whose operations lie nearest to half the last's."""
    half = cuts[-1].device_flops_per_sample / 2
    middle = min(cuts, key=lambda cut: abs(cut.device_flops_per_sample - half))
    places = sorted({0, cuts.index(middle), len(cuts) - 1})
    return [cuts[place] for place in places]
