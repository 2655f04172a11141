"""The segment programs of a run: compiled once for each cut, batch size and codec."""

from __future__ import annotations

import threading
from collections.abc import Callable

import torch
from torch import Tensor

from coordinator.compiling.compiler import compile_segment
from coordinator.cutting.loss_module import append_loss
from coordinator.cutting.traced_model import TracedModel
from coordinator.plan import Assignment
from runtime.errors import LoweringError, ModelError, ProgramError
from runtime.program import WHOLE_MODEL, Codec, SegmentProgram


class DevicePrograms:
    """Compiles on demand, under a lock, and keeps what was compiled.

    `example(batch)` gives an input of the model with that many samples; `objective` is the mean
    loss of (outputs, labels), which a program of the whole model holds.
    """

    def __init__(
        self,
        traced: TracedModel,
        example: Callable[[int], Tensor],
        objective: Callable[[Tensor, Tensor], Tensor],
    ) -> None:
        self._traced = traced
        self._example = example
        self._objective = objective
        self._lock = threading.Lock()
        self._programs: dict[tuple[str, int, Codec], SegmentProgram] = {}

    def of(self, assignment: Assignment) -> SegmentProgram:
        """Returns an assignment's program.

        Raises ModelError; where an operator has no lowering, it names the cuts without it.
        """
        batch = assignment.batch // assignment.micro_batches
        key = (assignment.cut, batch, assignment.codec_up)
        with self._lock:
            if key not in self._programs:
                self._programs[key] = self._compiled(*key)
            return self._programs[key]

    def named(self, digest: str) -> SegmentProgram:
        """Returns the program with that digest. Raises ProgramError."""
        with self._lock:
            for program in self._programs.values():
                if program.digest == digest:
                    return program
        raise ProgramError(f"no program {digest:.64} belongs to this run")

    def _compiled(self, cut: str, batch: int, codec: Codec) -> SegmentProgram:
        try:
            return self._compile(cut, batch, codec)
        except LoweringError as error:
            names = [one for one in self._shallower(cut) if self._compiles(one, batch, codec)]
            hint = f"cuts that avoid it: {', '.join(names)}" if names else "no cut avoids it"
            raise ModelError(f"cut {cut}: {error}; {hint}") from error

    def _compile(self, cut: str, batch: int, codec: Codec) -> SegmentProgram:
        segment, inputs = self._traced.split(cut).device, [self._example(batch)]
        if cut == WHOLE_MODEL:
            segment = append_loss(segment, self._objective)
            inputs.append(self._labels(batch))
        return compile_segment(segment.train(), inputs, cut=cut, codec=codec)

    def _labels(self, batch: int) -> Tensor:
        """Labels have the shape of the outputs without their last axis, that of the classes."""
        shape = self._traced.cut(WHOLE_MODEL).smashed_shape[:-1]
        return torch.zeros((batch, *shape), dtype=torch.int64)

    def _compiles(self, cut: str, batch: int, codec: Codec) -> bool:
        try:
            self._compile(cut, batch, codec)
        except LoweringError:
            return False
        return True

    def _shallower(self, cut: str) -> list[str]:
        names = [one.name for one in self._traced.places]
        return names[: names.index(self._traced.cut(cut).name)]
