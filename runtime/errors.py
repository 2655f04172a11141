"""Every error EdgeSplit raises on purpose.

EdgeSplitError
├── ConfigError       files the user wrote are wrong; carries every problem at once
├── ModelError        a model cannot be loaded, traced or cut
│   └── LoweringError     an operator has no ONNX lowering
├── ProgramError      a segment program is not what the plan named, or does not fit
├── DataError         a data set cannot be read or does not fit the model
├── WireError         bytes from the network do not decode
├── BrokerError       no broker, or one that refuses us
└── StorageError      a run, checkpoint or cache on disk cannot be read or written
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen


class EdgeSplitError(Exception):
    """The root: whatever a user can be told in a sentence."""


@frozen
class Problem:
    """One thing that is wrong in a file: where, what, and how to mend it."""

    file: str
    key: str
    message: str
    fix: str

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: {self.message}; {self.fix}"


class ConfigError(EdgeSplitError):
    """Files the user wrote are wrong. `problems` lists all of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ModelError(EdgeSplitError):
    """A model cannot be loaded, traced or cut."""


class LoweringError(ModelError):
    """An operator of the device segment has no ONNX lowering."""

    def __init__(self, operator: str, detail: str = "") -> None:
        self.operator = operator
        super().__init__(f"no ONNX lowering for {operator}" + (f": {detail}" if detail else ""))


class ProgramError(EdgeSplitError):
    """A segment program is not the one that the plan named, or does not fit."""


class DataError(EdgeSplitError):
    """A data set cannot be read or does not fit the model."""


class WireError(EdgeSplitError):
    """Bytes from the network do not decode into the message their topic carries."""


class BrokerError(EdgeSplitError):
    """No broker, or one that refuses us."""


class StorageError(EdgeSplitError):
    """A run, checkpoint or cache on disk cannot be read or written."""


def in_short(error: Exception) -> str:
    """Returns the name of an exception and its first words.

    Not its repr: it may hold what a peer sent, nested beyond Python's stack.
    """
    words = next((one for one in error.args if isinstance(one, str)), "")
    return f"{type(error).__name__} {words[:200]}".rstrip()
