"""A number with its provenance: what it says, how it was found, by whom and when."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Literal

import attrs
from attrs import field, frozen
from attrs.validators import optional

from firmware_profiles.errors import Refused

Kind = Literal["measured", "derived", "stated"]
"""Measured by the source, derived from something measured, or stated by a vendor."""

UNITS: Mapping[str, str] = {
    "_gb_per_s": "GB/s",
    "_mb_per_s": "MB/s",
    "_mbps": "Mbit/s",
    "_mib": "MiB",
    "_mhz": "MHz",
    "_gflops": "GFLOPS",
    "_gops": "GOPS",
    "_w": "W",
    "_c": "C",
    "_factor": "1",
}
"""The unit of a figure by the end of its field's name."""


def unit_of(name: str) -> str | None:
    """Returns the unit that a field of this name must have, None if it holds no figure."""
    return next((unit for end, unit in UNITS.items() if name.endswith(end)), None)


def positive(_instance: Any, _attribute: Any, value: Any) -> None:
    """The rule that a number is above 0."""
    if not value > 0:
        raise Refused(f"{value} is not above 0", "write what was found, or leave it out")


def said(_instance: Any, _attribute: Any, value: str) -> None:
    """The rule that a text says something."""
    if not value.strip():
        raise Refused("it is empty", "write it")


@frozen
class Figure:
    """One number of a card.

    Where a source gives a range, `value` is its lower end, the one to plan with, and `high` the
    upper. `date` is the day of the measurement, or, where the source names none, the day on
    which the source was read. `threads` and `clock_mhz` belong to the measurement.
    """

    value: float = field(validator=positive)
    unit: str
    how: str = field(validator=said)
    source: str = field(validator=said)
    date: datetime.date
    kind: Kind
    high: float | None = None
    software: str | None = field(default=None, validator=optional(said))
    threads: int | None = field(default=None, validator=optional(positive))
    clock_mhz: float | None = field(default=None, validator=optional(positive))

    def __attrs_post_init__(self) -> None:
        if self.high is not None and not self.high > self.value:
            raise Refused(f"{self.high} is not above {self.value}", "write value < high", "high")

    def __str__(self) -> str:
        high = "" if self.high is None else f"-{self.high:,.10g}"
        span = f"{self.value:,.10g}{high}"
        return span if self.unit == "1" else f"{span} {self.unit}"

    def times(self, factor: float, unit: str, how: str) -> Figure:
        """Returns the figure that follows from this one: multiplied, in `unit`, by way of `how`."""
        high = None if self.high is None else self.high * factor
        value = self.value * factor
        return attrs.evolve(self, value=value, high=high, unit=unit, how=how, kind="derived")
