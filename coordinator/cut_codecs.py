"""Which codecs travel at which cut: the coarsest that a job allows there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from attrs import field, frozen

from coordinator.plan import Assignment
from runtime.ids import DeviceId
from runtime.program import WHOLE_MODEL, Codec

if TYPE_CHECKING:
    from coordinator.cutting.traced_model import TracedModel
    from coordinator.job import CodecLimits


@frozen
class Coding:
    """How smashed data (`up`) and cut gradients (`down`) travel."""

    up: Codec
    down: Codec


@frozen
class CutCodecs:
    """The codecs of a job: `elsewhere`, but for cuts that have their own, by name and alias."""

    elsewhere: Coding
    own: Mapping[str, Coding] = field(factory=dict)

    def at(self, cut: str) -> Coding:
        """Returns what travels how at a cut that is not the whole model."""
        return self.own.get(cut, self.elsewhere)

    def assignment(self, device: DeviceId, cut: str, batch: int) -> Assignment:
        """Returns a device's part in a round; of one that trains everything nothing is coded."""
        if cut == WHOLE_MODEL:
            return Assignment.of_whole_model(device, batch)
        coding = self.at(cut)
        return Assignment(device, cut, coding.up, coding.down, batch)


def cut_codecs(limits: CodecLimits, traced: TracedModel) -> CutCodecs:
    """Returns the codecs at every cut of a model: the last floor at or before a cut holds.

    Raises ModelError for a floor at a cut that the model does not have.
    """
    elsewhere = Coding(limits.up, limits.down)
    depths = {traced.places.index(traced.cut(one.cut)): one for one in limits.floors}
    own, held = {}, elsewhere
    for depth, cut in enumerate(traced.cuts if depths else ()):
        if floor := depths.get(depth):
            held = Coding(floor.up or limits.up, floor.down or limits.down)
        own.update(dict.fromkeys((cut.name, *cut.aliases), held))
    return CutCodecs(elsewhere, own)
