"""The executor of a board: segment programs under onnxruntime, the optimiser in numpy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_agent.augmentation import augment
from device_agent.memory import peak_rss_bytes, pss_bytes
from device_agent.program_cache import ProgramCache
from device_agent.segment import Segment
from device_agent.stopwatch import FORWARD_SHARE, Slowdown, Stopwatch
from device_agent.tasks import Backward, Begin, FindProgram, Finish, Forward, StoreProgram, Trained
from runtime.codecs import decode
from runtime.dataset import Augmentation, Dataset, InputType
from runtime.emulation_spec import Emulation
from runtime.errors import ProgramError
from runtime.ids import DeviceId
from runtime.letters import GRADIENT, LABELS, SMASHED, DeviceReport, RoundOrder, Tensors
from runtime.optimisers import Optimiser
from runtime.order import samples
from runtime.program import Manifest
from runtime.randomness import dropout_mask, generator
from runtime.schedules import learning_rate
from runtime.tensors import narrow_labels, pack, pack_all, unpack, unpack_all

Array = NDArray[Any]
_ANY_CLASS = 2**31


class DeviceExecutor:
    """Trains one board's segment. One task at a time."""

    def __init__(
        self,
        device: DeviceId,
        dataset: Dataset,
        cache: ProgramCache,
        *,
        augmentations: tuple[Augmentation, ...] = (),
        threads: int = 1,
        emulation: Emulation | None = None,
        slowdown: Slowdown | None = None,
    ) -> None:
        self._device = device
        self._dataset = dataset
        self._cache = cache
        self._augmentations = augmentations
        self._threads = threads
        self._emulation = emulation or Emulation()
        self._slowdown = slowdown or Slowdown()
        self._segments: dict[str, Segment] = {}
        self._attempt: _Attempt | None = None

    def modelled_s(self, task: Any) -> float:
        """Returns 0: on a real board, time passes by itself."""
        return 0.0

    def run(self, task: Any) -> Any:
        match task:
            case FindProgram(digest):
                return self._cache.holds(digest)
            case StoreProgram(digest, body):
                return self._cache.store(digest, body)
            case Begin(order):
                self._attempt = self._begin(order)
                return None
            case Forward(_, step, micro_batch):
                return self._current.forward(step, micro_batch)
            case Backward(_, step, micro_batch, tensors):
                return self._current.backward(step, micro_batch, tensors)
            case Finish():
                return self._current.finish()

    @property
    def _current(self) -> _Attempt:
        if self._attempt is None:
            raise ProgramError("a step before its round has begun")
        return self._attempt

    def _begin(self, order: RoundOrder) -> _Attempt:
        segment = self._segment(order.program)
        _check_order(order, segment.manifest)
        spec = segment.manifest.inputs[0]
        dtype: InputType = "int64" if spec.dtype == "int64" else "float32"
        dataset = self._dataset.fit(spec.shape[1:], dtype, _ANY_CLASS)
        flops = float(segment.manifest.flops_per_sample * order.batch)
        stopwatch = Stopwatch(self._emulation.step_time_s(flops), self._slowdown)
        return _Attempt(self._device, order, segment, dataset, self._augmentations, stopwatch)

    def _segment(self, digest: str) -> Segment:
        # One program at a time: sessions are what occupies a small board's memory.
        if digest not in self._segments:
            self._segments.clear()
            self._segments[digest] = Segment(self._cache.load(digest), threads=self._threads)
        return self._segments[digest]


class _Attempt:
    """One try of one round: layer state in, local steps, layer state out."""

    def __init__(
        self,
        device: DeviceId,
        order: RoundOrder,
        segment: Segment,
        dataset: Dataset,
        augmentations: tuple[Augmentation, ...],
        stopwatch: Stopwatch,
    ) -> None:
        self._device = device
        self._order = order
        self._segment = segment
        self._dataset = dataset
        self._augmentations = augmentations
        self._stopwatch = stopwatch
        self._optimiser = Optimiser(order.recipe.optimiser)
        self._slots = _load(segment, unpack_all(order.tensors), self._optimiser)
        self._gradients: dict[str, Array] = {}
        self._trained_samples = 0
        self._losses: list[float] = []

    def forward(self, step: int, micro_batch: int) -> Tensors:
        """Returns the parts of the smashed data, and the labels; nothing of the whole model."""
        work = lambda: self._forward(step, micro_batch)  # noqa: E731
        return self._stopwatch.spend("forward", FORWARD_SHARE, work)

    def backward(self, step: int, micro_batch: int, tensors: Tensors | None) -> None:
        """Gathers a micro-batch's gradients; the last one of a step moves the weights."""
        work = lambda: self._backward(step, micro_batch, tensors)  # noqa: E731
        self._stopwatch.spend("backward", 1 - FORWARD_SHARE, work)
        if micro_batch + 1 == self._order.micro_batches:
            self._stopwatch.step_done()

    def finish(self) -> Trained:
        """Returns the layer state: parameters, buffers, and slots as `key#slot`."""
        state = {**self._segment.parameters, **self._segment.buffers, **self._slots}
        watch = self._stopwatch
        report = DeviceReport(
            peak_rss_bytes(),
            pss_bytes(),
            watch.quantiles(),
            watch.overruns,
            forward_s=watch.median_s("forward"),
            backward_s=watch.median_s("backward"),
            mean_loss=sum(self._losses) / len(self._losses) if self._losses else None,
        )
        return Trained(self._trained_samples, pack_all(state), report)

    def _forward(self, step: int, micro_batch: int) -> Tensors:
        order = self._order
        size = order.batch // order.micro_batches
        start = order.position + step * order.batch + micro_batch * size
        indices = samples(order.recipe.seed, self._device, len(self._dataset), start, size)
        inputs, labels = self._dataset.batch(indices)
        draw = self._random("augmentation", step, micro_batch)
        inputs = augment(inputs, self._augmentations, draw)
        masks = {
            spec.name: dropout_mask(
                self._random(f"dropout:{spec.name}", step, micro_batch), spec.shape, spec.drop
            )
            for spec in self._segment.manifest.masks
        }
        inputs = np.ascontiguousarray(inputs)
        self._trained_samples += size
        if order.is_whole_model:
            self._note_loss(self._segment.forward([inputs, labels], masks)[SMASHED])
            return {}
        parts = self._segment.forward([inputs], masks)
        return {**pack_all(parts), LABELS: pack(narrow_labels(labels))}

    def _note_loss(self, loss: Array) -> None:
        if not np.isfinite(loss):
            raise ProgramError(
                f"training has diverged: the loss is {loss}; lower the learning rate"
            )
        self._losses.append(float(loss))

    def _backward(self, step: int, micro_batch: int, tensors: Tensors | None) -> None:
        order = self._order
        self._gather(self._segment.backward(self._cut_gradient(tensors)))
        if micro_batch + 1 < order.micro_batches:
            return
        recipe = order.recipe
        rate = learning_rate(
            recipe.schedule,
            recipe.optimiser.lr,
            round=order.attempt.round,
            step=step,
            rounds=recipe.rounds,
            local_steps=recipe.local_steps,
        )
        t = recipe.global_step(order.attempt.round, step)
        gradients, self._gradients = self._gradients, {}
        self._optimiser.step(self._segment.parameters, gradients, self._slots, lr=rate, t=t)

    def _cut_gradient(self, tensors: Tensors | None) -> NDArray[np.float32]:
        shape = self._segment.manifest.smashed.shape
        if self._order.is_whole_model:
            return np.ones(shape, np.float32)
        if tensors is None:
            return np.zeros(shape, np.float32)
        parts = {name.removeprefix(GRADIENT): unpack(part) for name, part in tensors.items()}
        return decode(self._order.codec_down, parts, shape)

    def _gather(self, gradients: Mapping[str, Array]) -> None:
        """Adds up micro-batches; each one's gradient is of its own mean loss."""
        count = self._order.micro_batches
        for key, gradient in gradients.items():
            part = gradient if count == 1 else gradient / np.float32(count)
            known = self._gradients.get(key)
            self._gradients[key] = part if known is None else known + part

    def _random(self, purpose: str, step: int, micro_batch: int) -> np.random.Generator:
        return generator(
            purpose,
            seed=self._order.recipe.seed,
            round=self._order.attempt.round,
            step=step,
            micro_batch=micro_batch,
            device=self._device,
        )


def _check_order(order: RoundOrder, manifest: Manifest) -> None:
    if len(manifest.inputs) != (2 if manifest.is_whole_model else 1):
        raise ProgramError(f"the program takes {len(manifest.inputs)} inputs, a data set has one")
    expected = (order.cut, order.batch, order.codec_up)
    found = (manifest.cut, manifest.batch * order.micro_batches, manifest.codec)
    if expected != found:
        raise ProgramError(f"the round is for {expected}, the program for {found}")


def _load(
    segment: Segment, state: Mapping[str, Array], optimiser: Optimiser
) -> dict[str, NDArray[np.float32]]:
    """Puts a round's layer state into the segment and returns the slots, owned and writeable."""
    segment.load_state({key: array for key, array in state.items() if "#" not in key})
    trained = {g.key: segment.parameters[g.key] for g in segment.manifest.gradients}
    expected = optimiser.slots_for(trained)
    slots = {key: np.array(array) for key, array in state.items() if "#" in key}
    if {key: array.shape for key, array in slots.items()} != {
        key: array.shape for key, array in expected.items()
    }:
        raise ProgramError("the layer state's slots are not those of the optimiser")
    return slots
