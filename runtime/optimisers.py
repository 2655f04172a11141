"""The one definition of the optimisers, for both sides: numpy, in place, without own state.

The arithmetic is that of torch.optim (SGD, Adam, AdamW). What an optimiser remembers lives in
slots that travel with their layer; bias corrections use the global step, so no counter is stored.
Blocks of a constant size keep the working set in the cache and scratch memory at 64 KiB.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args

import numpy as np
from attrs import Attribute, field, frozen
from attrs.validators import in_
from numpy.typing import NDArray

Floats = NDArray[np.float32]
OptimiserName = Literal["sgd", "adam", "adamw"]
OPTIMISERS: tuple[str, ...] = get_args(OptimiserName)

_BLOCK_VALUES = 2**14


def _not_negative(_: Any, attribute: Attribute[float], value: float) -> None:
    if not 0.0 <= value < math.inf:
        raise ValueError(f"{attribute.name} must be a finite number of at least 0, not {value}")


def _positive(_: Any, attribute: Attribute[float], value: float) -> None:
    if not 0.0 < value < math.inf:
        raise ValueError(f"{attribute.name} must be a finite number above 0, not {value}")


def _fraction(_: Any, attribute: Attribute[float], value: float) -> None:
    if not 0.0 <= value < 1.0:
        raise ValueError(f"{attribute.name} must be at least 0 and below 1, not {value}")


@frozen
class OptimiserSpec:
    """Which optimiser, with its constants; names and defaults are torch's.

    momentum, dampening and nesterov belong to sgd; beta1, beta2 and eps to adam and adamw.
    Raises ValueError for values out of range and for settings that the optimiser does not have.
    """

    name: OptimiserName = field(validator=in_(OPTIMISERS))
    lr: float = field(validator=_positive)
    momentum: float = field(default=0.0, validator=_fraction)
    dampening: float = field(default=0.0, validator=_fraction)
    nesterov: bool = False
    weight_decay: float = field(default=0.0, validator=_not_negative)
    beta1: float = field(default=0.9, validator=_fraction)
    beta2: float = field(default=0.999, validator=_fraction)
    eps: float = field(default=1e-8, validator=_positive)

    def __attrs_post_init__(self) -> None:
        if self.name != "sgd" and (self.momentum or self.dampening or self.nesterov):
            raise ValueError(
                f"{self.name} has no momentum, dampening or nesterov; use beta1, or name sgd"
            )
        if self.dampening and not self.momentum:
            raise ValueError("dampening has no effect without momentum")
        if self.nesterov and (self.dampening or not self.momentum):
            raise ValueError("nesterov needs a momentum and a dampening of 0")


@frozen
class Optimiser:
    """Updates parameters in place. Holds no state: threads may share one."""

    spec: OptimiserSpec

    @property
    def slot_names(self) -> tuple[str, ...]:
        """What is remembered per parameter, by torch's names."""
        if self.spec.name != "sgd":
            return ("exp_avg", "exp_avg_sq")
        return ("momentum",) if self.spec.momentum else ()

    def slots_for(self, parameters: Mapping[str, Floats]) -> dict[str, Floats]:
        """Returns the zero slots of every parameter, keyed `key#slot`."""
        return {
            f"{key}#{slot}": np.zeros(parameter.shape, np.float32)
            for key, parameter in parameters.items()
            for slot in self.slot_names
        }

    def step(
        self,
        parameters: Mapping[str, Floats],
        gradients: Mapping[str, Floats],
        slots: Mapping[str, Floats],
        *,
        lr: float,
        t: int,
    ) -> None:
        """Applies one update to every parameter that has a gradient, in place.

        Parameters and slots are C-contiguous float32 and may be views of another library's memory.
        `t` is the global step, counted from 1. Values that overflow become infinite without a
        warning: who watches the loss sees it.

        Raises ValueError, before anything is changed, where an array does not fit its parameter,
        and KeyError where a gradient has no parameter or a slot is missing.
        """
        if t < 1:
            raise ValueError(f"steps count from 1, not {t}")
        rows = [self._row(key, parameters, gradients[key], slots) for key in gradients]
        scratch = np.empty(_BLOCK_VALUES, np.float32)
        with np.errstate(all="ignore"):
            for row in rows:
                for block in _blocks(row):
                    self._update(block, scratch[: block[0].size], lr, t)

    def _row(
        self,
        key: str,
        parameters: Mapping[str, Floats],
        gradient: Floats,
        slots: Mapping[str, Floats],
    ) -> list[Floats]:
        """Returns parameter, gradient and slots of one key, each as a flat view."""
        parameter = parameters[key]
        updated = [parameter, *(slots[f"{key}#{slot}"] for slot in self.slot_names)]
        for array in (*updated, gradient):
            if array.dtype != np.float32 or array.shape != parameter.shape:
                raise ValueError(
                    f"{key}: {array.dtype}{array.shape} is not float32{parameter.shape}"
                )
        # A flat view of anything else would be a copy, and its update would be lost.
        if not all(array.flags.c_contiguous and array.flags.writeable for array in updated):
            raise ValueError(f"{key}: parameter and slots must be writeable and C-contiguous")
        flat = [array.reshape(-1) for array in updated]
        return [flat[0], gradient.reshape(-1), *flat[1:]]

    def _update(self, block: list[Floats], scratch: Floats, lr: float, t: int) -> None:
        match self.spec.name, block:
            case "sgd", [parameter, gradient]:
                self._sgd(parameter, gradient, scratch, lr)
            case "sgd", [parameter, gradient, momentum]:
                self._sgd_momentum(parameter, gradient, momentum, scratch, lr, t)
            case _, [parameter, gradient, exp_avg, exp_avg_sq]:
                self._adam(parameter, gradient, exp_avg, exp_avg_sq, scratch, lr, t)

    def _sgd(self, parameter: Floats, gradient: Floats, scratch: Floats, lr: float) -> None:
        gradient = self._decayed(parameter, gradient, scratch)
        parameter -= np.multiply(gradient, lr, out=scratch)

    def _sgd_momentum(
        self,
        parameter: Floats,
        gradient: Floats,
        momentum: Floats,
        scratch: Floats,
        lr: float,
        t: int,
    ) -> None:
        spec = self.spec
        gradient = self._decayed(parameter, gradient, scratch)
        momentum *= spec.momentum
        if spec.dampening and t > 1:  # torch takes the first gradient as it is
            gradient = np.multiply(gradient, 1 - spec.dampening, out=scratch)
        momentum += gradient
        if spec.nesterov:
            parameter -= np.multiply(gradient, lr, out=scratch)
            parameter -= np.multiply(momentum, lr * spec.momentum, out=scratch)
        else:
            parameter -= np.multiply(momentum, lr, out=scratch)

    def _adam(
        self,
        parameter: Floats,
        gradient: Floats,
        exp_avg: Floats,
        exp_avg_sq: Floats,
        scratch: Floats,
        lr: float,
        t: int,
    ) -> None:
        """Adam and AdamW in one scratch: (1 - beta1) * g first, and g * g out of its square."""
        spec = self.spec
        fresh1, fresh2 = 1 - spec.beta1, 1 - spec.beta2
        if spec.name == "adamw":
            parameter *= 1 - lr * spec.weight_decay
        else:
            gradient = self._decayed(parameter, gradient, scratch)
        np.multiply(gradient, fresh1, out=scratch)
        exp_avg *= spec.beta1
        exp_avg += scratch
        np.square(scratch, out=scratch)
        scratch *= fresh2 / fresh1**2
        exp_avg_sq *= spec.beta2
        exp_avg_sq += scratch
        np.sqrt(exp_avg_sq, out=scratch)
        scratch *= 1 / math.sqrt(1 - spec.beta2**t)
        scratch += spec.eps
        np.divide(exp_avg, scratch, out=scratch)
        scratch *= lr / (1 - spec.beta1**t)
        parameter -= scratch

    def _decayed(self, parameter: Floats, gradient: Floats, scratch: Floats) -> Floats:
        """Returns the gradient of the loss and the L2 penalty; `scratch` if there is one."""
        if not self.spec.weight_decay:
            return gradient
        np.multiply(parameter, self.spec.weight_decay, out=scratch)
        scratch += gradient
        return scratch


def _blocks(row: list[Floats]) -> Iterator[list[Floats]]:
    for start in range(0, row[0].size, _BLOCK_VALUES):
        yield [array[start : start + _BLOCK_VALUES] for array in row]
