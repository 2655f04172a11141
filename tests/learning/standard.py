"""What a lesson should teach, by plain PyTorch, and how far from it is still the same."""

from __future__ import annotations

from attrs import define, field, frozen

from coordinator.job import Job
from runtime.ids import DeviceId
from runtime.optimisers import OptimiserSpec
from tests.learning import reference
from tests.learning.lesson import VIT, VIT_DROPOUT, Lesson
from tests.learning.trajectory import SMOOTH, Distance, Trajectory, allowed_by

BOARD = DeviceId("board")
SMOOTH_LESSONS = (VIT.name, VIT_DROPOUT.name)


@frozen(eq=False)
class Standard:
    """Torch's trajectory of `job` on the lesson's data, and what may differ from it."""

    expected: Trajectory
    allowed: Distance

    @classmethod
    def of(cls, lesson: Lesson, job: Job) -> Standard:
        data = lesson.data()
        expected = reference.train(job, BOARD, data).trajectory()
        if lesson.name in SMOOTH_LESSONS:
            return cls(expected, SMOOTH)
        control = reference.train(job, BOARD, data, mkldnn=False).trajectory()
        return cls(expected, allowed_by(Distance.between(control, expected)))

    def disagreements(self, found: Trajectory) -> list[str]:
        """Returns in what `found` is another training than torch's; empty if it is the same."""
        return Distance.between(found, self.expected).beyond(self.allowed)


@define
class Standards:
    """Each standard, worked out once."""

    _known: dict[tuple[str, OptimiserSpec, int], Standard] = field(factory=dict)

    def of(self, lesson: Lesson, job: Job) -> Standard:
        key = (lesson.name, job.optimiser, job.training.local_steps)
        if key not in self._known:
            self._known[key] = Standard.of(lesson, job)
        return self._known[key]
