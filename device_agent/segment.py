"""Runs a segment program with onnxruntime: the device side of a training step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from runtime.errors import ProgramError
from runtime.program import MaskSpec, SegmentProgram, TensorSpec

Array = NDArray[Any]

_LARGEST_SCALE = np.finfo(np.float32).max / 256


class Segment:
    """The front of a model, trained one step at a time.

    `parameters` and `buffers` are the live state by `state_dict` key: the graphs read these very
    arrays, the optimiser changes them in place, and `forward` moves the running statistics in
    place. Keys that are tied share one array, and the first of them has the gradient. Between a
    forward pass and its backward pass the parameters must not change.

    Raises ProgramError for a program that onnxruntime refuses, and for state, inputs or
    gradients that do not fit the program.
    """

    def __init__(self, program: SegmentProgram, *, threads: int = 1) -> None:
        self.manifest = program.manifest
        self._program = program
        self._threads = threads
        self._forward = _Graph(program.forward, threads)
        self._backward = _Graph(program.backward, threads)
        self._inference: _Graph | None = None
        self._state: dict[str, ort.OrtValue] = {}
        self._saved: dict[str, ort.OrtValue] | None = None
        self.parameters: dict[str, Array] = {}
        self.buffers: dict[str, Array] = {}

    def load_state(self, tensors: Mapping[str, Array]) -> None:
        """Takes copies of all parameters and buffers; forgets a forward pass under way."""
        manifest = self.manifest
        specs = {spec.name: spec for spec in (*manifest.parameters, *manifest.buffers)}
        _check_names("layer state", {*specs, *(tie.key for tie in manifest.ties)}, tensors)
        arrays = {name: _owned(spec, tensors[name]) for name, spec in specs.items()}
        self.parameters = {spec.name: arrays[spec.name] for spec in manifest.parameters}
        self.buffers = {spec.name: arrays[spec.name] for spec in manifest.buffers}
        for tie in manifest.ties:
            group = self.parameters if tie.of in self.parameters else self.buffers
            group[tie.key] = arrays[tie.of]
        self._state = _values(arrays)
        self._saved = None

    def forward(self, inputs: Sequence[Array], masks: Mapping[str, Array]) -> dict[str, Array]:
        """Runs a training step up to the cut and returns the parts that travel.

        Raises ProgramError when int8 cannot carry them: NaN, infinite or huge activations.
        A pass that is never followed by its backward pass leaves only its running statistics.
        """
        feeds = {**self._inputs(inputs), **self._masks(masks)}
        made = self._forward.run({**self._state, **feeds})
        for update in self.manifest.buffer_updates:
            np.copyto(self.buffers[update.key], made[update.output].numpy())
        known = {**self._state, **feeds, **made}
        self._saved = {saved.name: known[saved.name] for saved in self.manifest.saved}
        parts = {part.name: made[part.name].numpy() for part in self.manifest.smashed_parts}
        _check_range(parts)
        return parts

    def backward(self, cut_gradient: Array) -> dict[str, Array]:
        """Returns the gradient of each parameter that learns, by key; once per forward pass."""
        if self._saved is None:
            raise ProgramError("a backward pass without a forward pass before it")
        smashed = self.manifest.smashed
        spec = TensorSpec(self.manifest.cut_gradient, smashed.dtype, smashed.shape)
        tangent = _values({spec.name: _owned(spec, cut_gradient)})
        saved, self._saved = self._saved, None
        made = self._backward.run({**saved, **tangent})
        return {g.key: made[g.output].numpy() for g in self.manifest.gradients}

    def infer(self, inputs: Sequence[Array]) -> Array:
        """Returns the float32 tensor at the cut in evaluation mode."""
        if self._inference is None:
            self._inference = _Graph(self._program.inference, self._threads)
        made = self._inference.run({**self._state, **self._inputs(inputs)})
        prediction: Array = made[self.manifest.prediction].numpy()
        return prediction

    def _inputs(self, inputs: Sequence[Array]) -> dict[str, ort.OrtValue]:
        if not self._state:
            raise ProgramError("the segment has no layer state yet")
        specs = self.manifest.inputs
        if len(inputs) != len(specs):
            raise ProgramError(f"{len(inputs)} inputs where the segment takes {len(specs)}")
        # Copies: the backward pass reads them again, when the caller may have moved on.
        pairs = zip(specs, inputs, strict=True)
        return _values({spec.name: _owned(spec, array) for spec, array in pairs})

    def _masks(self, masks: Mapping[str, Array]) -> dict[str, ort.OrtValue]:
        specs = {spec.name: _mask_tensor(spec) for spec in self.manifest.masks}
        _check_names("masks", set(specs), masks)
        return _values({name: _owned(spec, masks[name]) for name, spec in specs.items()})


class _Graph:
    """One onnxruntime session that takes and gives OrtValues by name."""

    def __init__(self, model: bytes, threads: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.enable_mem_pattern = False  # a third less peak memory on a small board
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no base class of their own
            raise ProgramError(f"onnxruntime refuses the graph: {error}") from error
        self._inputs = [node.name for node in self._session.get_inputs()]
        self._outputs = [node.name for node in self._session.get_outputs()]

    def run(self, values: Mapping[str, ort.OrtValue]) -> dict[str, ort.OrtValue]:
        try:
            feeds = {name: values[name] for name in self._inputs}
            made = self._session.run_with_ort_values(self._outputs, feeds)
        except Exception as error:
            raise ProgramError(f"onnxruntime cannot run the graph: {error}") from error
        return dict(zip(self._outputs, made, strict=True))


def _values(arrays: Mapping[str, Array]) -> dict[str, ort.OrtValue]:
    """OrtValues that share the memory of the arrays."""
    return {name: ort.OrtValue.ortvalue_from_numpy(array) for name, array in arrays.items()}


def _owned(spec: TensorSpec, array: Array) -> Array:
    """Returns a contiguous copy of an array that is what `spec` says."""
    if array.dtype != np.dtype(spec.dtype) or array.shape != spec.shape:
        raise ProgramError(
            f"{spec.name} is {array.dtype}{list(array.shape)}, "
            f"the program takes {spec.dtype}{list(spec.shape)}"
        )
    return np.array(array, order="C", copy=True)


def _check_range(parts: Mapping[str, Array]) -> None:
    """The graph makes the scale NaN or infinite when anything that it stands for is."""
    scale = parts.get("smashed.scale")
    if scale is not None and not np.all(scale <= _LARGEST_SCALE):
        raise ProgramError(
            "training has diverged: the activation at the cut holds NaN, infinite or huge "
            "values; lower the learning rate"
        )


def _mask_tensor(spec: MaskSpec) -> TensorSpec:
    return TensorSpec(spec.name, "bool", spec.shape)


def _check_names(what: str, expected: set[str], given: Mapping[str, Array]) -> None:
    missing, unknown = sorted(expected - given.keys()), sorted(given.keys() - expected)
    if missing or unknown:
        raise ProgramError(f"{what} misses {missing} and does not know {unknown}")
