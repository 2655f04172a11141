"""The coordinator's executor: server segments under torch, averaging, evaluation, checkpoints."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from coordinator.compiling.device_programs import DevicePrograms
from coordinator.cutting.model import build_model
from coordinator.cutting.traced_model import Split, TracedModel, trace
from coordinator.job import Job
from coordinator.learning.checkpoint import Checkpoint, LayerState, weights_of, weights_sha256
from coordinator.learning.objective import build_objective, evaluate
from coordinator.learning.replica import Place, Replica
from coordinator.plan import Assignment
from coordinator.tasks import (
    Closed,
    CloseRound,
    Collect,
    FetchProgram,
    OpenRound,
    Prepare,
    Prepared,
    Served,
    ServeStep,
)
from runtime import codecs
from runtime.averaging import average
from runtime.dataset import Dataset
from runtime.errors import ModelError, ProgramError, WireError
from runtime.ids import DeviceId
from runtime.letters import GRADIENT, LABELS, SMASHED, Tensors
from runtime.optimisers import Optimiser
from runtime.randomness import generator
from runtime.tensors import pack_all, unpack, unpack_all

Array = NDArray[Any]

_NEVER_NEGATIVE = ("#exp_avg_sq", "running_var")


class CoordinatorExecutor:
    """Holds the model between rounds and a replica of its back part for every device.

    A device that trains the whole model has none.

    Tasks of different devices may run at the same time; what they share is built under a lock
    and only read afterwards. Results do not depend on the order of arrival.
    """

    def __init__(self, job: Job, evaluation: Dataset, run: str, checkpoint_path: Path) -> None:
        self._job = job
        self._evaluation = evaluation
        self._run = run
        self._checkpoint_path = checkpoint_path
        self._objective = build_objective(job)
        torch.set_num_threads(job.server.threads_per_worker)
        training = job.training
        self._model = build_model(job.model.factory, job.model.args, training.seed, job.base)
        self.traced: TracedModel = trace(self._model, (self._example(2),))
        self._state: LayerState = self._first_state()
        self._building = threading.Lock()
        self._programs = DevicePrograms(self.traced, self._example, self._objective)
        self._splits: dict[str, Split] = {}
        self._replicas: dict[DeviceId, tuple[str, Replica]] = {}
        self._device_keys: dict[str, frozenset[str]] = {}
        self._assignments: dict[DeviceId, Assignment] = {}
        self._collected: dict[DeviceId, tuple[int, LayerState]] = {}

    @property
    def state(self) -> LayerState:
        """The layer state after the last closed round."""
        return self._state

    @property
    def model(self) -> torch.nn.Module:
        """The whole model, holding the weights of the last closed round."""
        return self._model

    def restore(self, checkpoint: Checkpoint) -> None:
        """Goes on from a checkpoint of this job. Raises ProgramError where it does not fit."""
        if _forms(checkpoint.state) != _forms(self._state):
            raise ProgramError("the checkpoint is not one of this job's model and optimiser")
        self._take(checkpoint.state)

    def modelled_s(self, task: Any) -> float:
        """Returns 0: on a real server, time passes by itself."""
        return 0.0

    def run(self, task: Any) -> Any:
        # Each thread has a number of its own: oneDNN takes all cores in one that was not told.
        torch.set_num_threads(self._job.server.threads_per_worker)
        match task:
            case OpenRound(plan):
                for assignment in plan.assignments:
                    self._programs.of(assignment)
                return None
            case Prepare(assignment):
                return self._prepare(assignment)
            case FetchProgram(_, digest):
                return self._programs.named(digest).encode()
            case ServeStep():
                return self._serve(task)
            case Collect():
                return self._collect(task)
            case CloseRound():
                return self._close(task)

    def _prepare(self, assignment: Assignment) -> Prepared:
        program = self._programs.of(assignment)
        if assignment.is_whole_model:
            self._replicas.pop(assignment.device, None)
        else:
            self._replica(assignment).reset(self._state)
        self._assignments[assignment.device] = assignment
        own = self._device_state_keys(assignment.cut)
        tensors = {key: array for key, array in self._state.items() if key in own}
        return Prepared(program.digest, pack_all(tensors))

    def _serve(self, task: ServeStep) -> Served:
        assignment = self._assignments[task.device]
        program = self._programs.of(assignment)
        parts = {
            name.removeprefix(SMASHED): unpack(part)
            for name, part in task.tensors.items()
            if name != LABELS
        }
        shape = program.manifest.smashed.shape
        smashed = codecs.decode(assignment.codec_up, parts, shape)
        place = Place(task.attempt.round, task.step, task.micro_batch, assignment.micro_batches)
        replica = self._replica(assignment)
        # torch takes no array that is read-only, as fp32 is, which nobody had to decode.
        smashed = np.require(smashed, requirements="W")
        gradient, loss = replica.serve(smashed, self._labels(task.tensors, shape), place)
        noise = self._noise(task)
        try:
            encoded = codecs.encode(assignment.codec_down, gradient, noise=noise)
        except FloatingPointError as error:
            raise ProgramError(f"the gradient for {task.device} cannot be sent: {error}") from error
        return Served(pack_all({GRADIENT + suffix: a for suffix, a in encoded.items()}), loss)

    def _labels(self, tensors: Tensors, smashed_shape: tuple[int, ...]) -> Array:
        if LABELS not in tensors:
            raise WireError("a step without labels")
        labels = unpack(tensors[LABELS])
        if (
            labels.dtype.kind not in "iu"
            or labels.shape[:1] != smashed_shape[:1]
            or not labels.size
        ):
            raise WireError(f"labels are {labels.dtype}{list(labels.shape)}")
        if labels.min() < 0 or labels.max() >= self._job.input.classes:
            raise WireError(f"labels leave the {self._job.input.classes} classes of the job")
        return labels.astype(np.int64)

    def _noise(self, task: ServeStep) -> np.random.Generator:
        return generator(
            "gradient",
            seed=self._job.training.seed,
            round=task.attempt.round,
            step=task.step,
            micro_batch=task.micro_batch,
            device=task.device,
        )

    def _collect(self, task: Collect) -> None:
        own = self._device_state_keys(self._assignments[task.device].cut)
        arrays = unpack_all(task.tensors)
        if _forms(arrays) != _forms({key: self._state[key] for key in own}):
            raise WireError(f"{task.device} returned another layer state than it was given")
        for key, array in arrays.items():
            # One device's NaN would be everybody's after the average.
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise ModelError(f"{task.device} returned {key} with values that are not finite")
            # The square root of one device's negative variance would be NaN in everybody's step.
            if key.endswith(_NEVER_NEGATIVE) and array.min(initial=0) < 0:
                raise ModelError(f"{task.device} returned {key} with negative values")
        self._collected[task.device] = (task.samples, arrays)

    def _close(self, task: CloseRound) -> Closed:
        copies = [copy for device in task.devices for copy in self._copies(device)]
        # What no node of the model uses is in no copy where all devices train the whole of it.
        self._take({**self._state, **average(copies)})
        score = evaluate(self._model, self._objective, self._evaluation, self._job.evaluation.batch)
        closed = Closed(score.accuracy, score.loss, weights_sha256(self._state))
        entry, positions = closed.complete(task.entry), dict(task.positions)
        checkpoint = Checkpoint(self._run, task.round, positions, self._state, entry)
        checkpoint.save(self._checkpoint_path)
        return closed

    def _copies(self, device: DeviceId) -> Iterator[tuple[DeviceId, int, LayerState]]:
        """Yields what was trained on a device's data, on either side of its cut."""
        samples, state = self._collected.pop(device)
        yield device, samples, state
        if not self._assignments[device].is_whole_model:
            yield device, samples, self._replicas[device][1].state()

    def _take(self, state: Mapping[str, Array]) -> None:
        self._state = dict(state)
        weights = {key: torch.from_numpy(a) for key, a in weights_of(state).items()}
        self._model.load_state_dict(weights)

    def _first_state(self) -> LayerState:
        weights = {key: t.numpy().copy() for key, t in self._model.state_dict().items()}
        trained = {
            key: weights[key] for key, p in self._model.named_parameters() if p.requires_grad
        }
        return {**weights, **Optimiser(self._job.optimiser).slots_for(trained)}

    def _example(self, batch: int) -> torch.Tensor:
        dtype = torch.int64 if self._job.input.dtype == "int64" else torch.float32
        return torch.zeros(batch, *self._job.input.shape, dtype=dtype)

    def _replica(self, assignment: Assignment) -> Replica:
        device, cut = assignment.device, assignment.cut
        with self._building:
            known = self._replicas.get(device)
            if known is None or known[0] != cut:
                server = self._split(cut).server
                replica = Replica(device, server, self._objective, self._job.recipe)
                self._replicas[device] = known = (cut, replica)
            return known[1]

    def _device_state_keys(self, cut: str) -> frozenset[str]:
        with self._building:
            if cut not in self._device_keys:
                weights = set(self._split(cut).device.state_dict())
                mine = (key for key in self._state if key.partition("#")[0] in weights)
                self._device_keys[cut] = frozenset(mine)
            return self._device_keys[cut]

    def _split(self, cut: str) -> Split:
        """Made once: fx's graphs are cycles, which garbage collection leaves for long."""
        if cut not in self._splits:
            self._splits[cut] = self.traced.split(cut)
        return self._splits[cut]


def _forms(state: Mapping[str, Array]) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {key: (array.dtype.str, array.shape) for key, array in state.items()}
