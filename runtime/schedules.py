"""The learning rate as a function of the place in the run."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

from attrs import Attribute, field, frozen
from attrs.validators import in_

ScheduleName = Literal["constant", "step", "cosine"]


def _fraction(_: Any, attribute: Attribute[float], value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{attribute.name} must lie in 0..1, not {value}")


def _count_from(least: int) -> Any:
    def check(_: Any, attribute: Attribute[int], value: int) -> None:
        if type(value) is not int or value < least:
            raise ValueError(
                f"{attribute.name} must be a whole number of at least {least}, not {value}"
            )

    return check


@frozen
class ScheduleSpec:
    """How the rate moves. `floor` is the lowest rate after the warm-up, as a fraction of the base.

    constant: the base rate. step: times `gamma` after every `every_rounds` rounds. cosine: half a
    wave from the base rate to the floor over all steps of the run after the warm-up. Each starts
    with `warmup_steps` local steps of linear rise. Raises ValueError for values out of range.
    """

    name: ScheduleName = field(default="constant", validator=in_(get_args(ScheduleName)))
    warmup_steps: int = field(default=0, validator=_count_from(0))
    every_rounds: int = field(default=10, validator=_count_from(1))
    gamma: float = field(default=0.1, validator=_fraction)
    floor: float = field(default=0.0, validator=_fraction)


def learning_rate(
    spec: ScheduleSpec, base_lr: float, *, round: int, step: int, rounds: int, local_steps: int
) -> float:
    """Returns the rate of local step `step` (from 0) in round `round` (from 1).

    The run has `rounds` rounds of `local_steps` steps. It lies in 0..base_lr.
    """
    done_steps = (round - 1) * local_steps + step
    if done_steps < spec.warmup_steps:
        return base_lr * ((done_steps + 1) / spec.warmup_steps)
    match spec.name:
        case "constant":
            return base_lr
        case "step":
            return base_lr * max(spec.floor, spec.gamma ** ((round - 1) // spec.every_rounds))
        case "cosine":
            wave_steps = max(1, rounds * local_steps - spec.warmup_steps)
            return base_lr * _cosine((done_steps - spec.warmup_steps) / wave_steps, spec.floor)


def _cosine(progress: float, floor: float) -> float:
    return floor + (1 - floor) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2
