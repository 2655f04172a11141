"""The state of a run after a round, in one safetensors file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from runtime.atomic_file import write_atomically
from runtime.errors import StorageError
from runtime.ids import DeviceId

Array = NDArray[Any]
LayerState = dict[str, Array]
"""Parameters and buffers by `state_dict` key, optimiser slots as `key#slot`."""


@frozen
class Checkpoint:
    """Layer state and data positions after `round` (0: before the first).

    `entry` is what belongs on record of the round; a crash may keep it from getting there.
    """

    run: str
    round: int
    positions: Mapping[DeviceId, int]
    state: LayerState = field(repr=False)
    entry: Mapping[str, Any] = field(factory=dict, repr=False)

    def save(self, path: Path) -> None:
        """Replaces the file at `path`. Raises StorageError."""
        facts = {
            "run": self.run,
            "round": self.round,
            "positions": dict(self.positions),
            "entry": dict(self.entry),
        }
        # safetensors writes the memory of an array, whatever the order of its axes.
        state = {key: np.asarray(array, order="C") for key, array in self.state.items()}
        write_atomically(path, save(state, {"edgesplit": json.dumps(facts)}))

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Reads what `save` wrote. Raises StorageError."""
        try:
            with safe_open(path, "numpy") as file:
                facts = json.loads((file.metadata() or {})["edgesplit"])
                state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            positions, entry = dict(facts["positions"]), dict(facts.get("entry", {}))
            return cls(facts["run"], int(facts["round"]), positions, state, entry)
        except (OSError, KeyError, TypeError, ValueError, RecursionError, SafetensorError) as error:
            raise StorageError(f"{path} is no checkpoint: {error}") from error


def weights_of(state: Mapping[str, Array]) -> LayerState:
    """Returns parameters and buffers without the optimiser's slots."""
    return {key: array for key, array in state.items() if "#" not in key}


def weights_sha256(state: Mapping[str, Array]) -> str:
    """Returns a digest of all weights: names, types, shapes and bits."""
    digest = hashlib.sha256()
    for key, array in sorted(weights_of(state).items()):
        digest.update(f"{key}:{array.dtype.str}:{array.shape};".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
