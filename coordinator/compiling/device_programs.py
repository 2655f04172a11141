"""The segment programs of a run: compiled once for each cut, batch size and codec."""

from __future__ import annotations

import threading
from collections.abc import Callable

from torch import Tensor

from coordinator.compiling.compiler import compile_segment
from coordinator.cutting.traced_model import TracedModel
from coordinator.plan import Assignment
from runtime.errors import LoweringError, ModelError, ProgramError
from runtime.program import Codec, SegmentProgram


class DevicePrograms:
    """Compiles on demand, under a lock, and keeps what was compiled.

    `example(batch)` gives an input of the model with that many samples.
    """

    def __init__(self, traced: TracedModel, example: Callable[[int], Tensor]) -> None:
        self._traced = traced
        self._example = example
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
        device = self._traced.split(cut).device.train()
        return compile_segment(device, (self._example(batch),), cut=cut, codec=codec)

    def _compiles(self, cut: str, batch: int, codec: Codec) -> bool:
        try:
            self._compile(cut, batch, codec)
        except LoweringError:
            return False
        return True

    def _shallower(self, cut: str) -> list[str]:
        names = [one.name for one in self._traced.cuts]
        return names[: names.index(self._traced.cut(cut).name)]
