"""Both sides of a cut, stepped by hand from any state, with the gradients that torch had."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from attrs import define, field, frozen
from torch import Tensor

from coordinator.compiling.compiler import compile_segment
from coordinator.cutting.model import build_model
from coordinator.cutting.traced_model import trace
from coordinator.job import Job
from coordinator.learning.objective import cross_entropy
from coordinator.learning.replica import Place, Replica
from device_agent.program_cache import ProgramCache
from device_agent.tasks import Backward, Begin, Finish, Forward, StoreProgram
from device_agent.training import DeviceExecutor
from runtime.dataset import Dataset
from runtime.letters import AttemptKey, RoundOrder
from runtime.tensors import pack, pack_all, unpack_all
from tests.learning.laboratory import LIMITS
from tests.learning.standard import BOARD
from tests.learning.trajectory import Array, Arrays


@frozen
class Crossing:
    """What went over the cut in a step of torch's: activations and their gradient."""

    smashed: Array
    gradient: Array


@define
class Sides:
    """A board's executor and a replica of the server's part, for rounds of one step."""

    job: Job
    cut: str
    device: DeviceExecutor
    replica: Replica
    program: str
    device_weights: frozenset[str]
    torch_gradients: dict[str, Array] = field(factory=dict)

    @classmethod
    def of(cls, job: Job, cut: str, data: Dataset, folder: Path) -> Sides:
        training = job.training
        model = build_model(job.model.factory, job.model.args, training.seed, job.base)
        example = torch.zeros(training.batch, *job.input.shape)
        split = trace(model, [example]).split(cut)
        program = compile_segment(split.device.train(), [example], cut=cut, codec="fp32")
        device = DeviceExecutor(BOARD, data, ProgramCache(folder, LIMITS))
        device.run(StoreProgram(program.digest, program.encode()))
        replica = Replica(BOARD, split.server, cross_entropy, job.recipe)
        keys = frozenset(split.device.state_dict())
        sides = cls(job, cut, device, replica, program.digest, keys)
        sides._replace_gradients()
        return sides

    def step(
        self, round: int, before: Arrays, crossing: Crossing, labels: Array, gradients: Arrays
    ) -> dict[str, Array]:
        """Returns the whole layer state after one step of both sides from `before`.

        Both run forward and backward, then their optimisers are given torch's `gradients`: noise
        in a gradient that is zero by analysis would be a full step of Adam's.
        """
        self.torch_gradients = dict(gradients)
        self.replica.reset(before)
        self.replica.serve(crossing.smashed.copy(), labels, Place(round, 0, 0, 1))
        return {**self._device(round, before, crossing), **self.replica.state()}

    def give_torchs_gradients(self, _cut_gradient: Array) -> Mapping[str, Array]:
        """Stands in for `Segment.backward`."""
        return {k: g for k, g in self.torch_gradients.items() if k in self.device_weights}

    def _replace_gradients(self) -> None:
        """Gives the replica torch's gradients as well, in the place of its own."""

        def given(key: str) -> Callable[[Tensor], Tensor]:
            return lambda _: torch.from_numpy(self.torch_gradients[key])

        for key, parameter in self.replica._trained.items():
            parameter.register_hook(given(key))  # type: ignore[no-untyped-call]

    def _device(self, round: int, before: Arrays, crossing: Crossing) -> dict[str, Array]:
        own = {k: a for k, a in before.items() if k.partition("#")[0] in self.device_weights}
        order = self._order(round, own)
        self.device.run(Begin(order))
        self.device.run(Forward(order.attempt, 0, 0))
        gradient = {"gradient": pack(crossing.gradient)}
        self.device.run(Backward(order.attempt, 0, 0, gradient))
        return unpack_all(self.device.run(Finish(order.attempt)).tensors)

    def _order(self, round: int, own: dict[str, Array]) -> RoundOrder:
        batch = self.job.training.batch
        return RoundOrder(
            run="run-1",
            attempt=AttemptKey(round, 1),
            program=self.program,
            cut=self.cut,
            batch=batch,
            micro_batches=1,
            position=(round - 1) * batch,
            codec_up="fp32",
            codec_down="fp32",
            recipe=self.job.recipe,
            tensors=pack_all(own),
        )
