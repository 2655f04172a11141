"""An executor that survives what a peer sent."""

from __future__ import annotations

import logging
from typing import Any

from attrs import frozen

from runtime.errors import EdgeSplitError, ProgramError, in_short
from runtime.executor import Executor

_log = logging.getLogger(__name__)


@frozen
class Guarded:
    """Turns every exception in tasks of these `kinds` into a ProgramError.

    Their data come from a peer, and the layers below (numpy, torch, onnxruntime) have exceptions
    of their own for data that nobody foresaw, and MemoryError for too much of them. The attempt
    fails, with the trace in the log; the process goes on.
    """

    executor: Executor
    kinds: tuple[type[Any], ...]

    def run(self, task: Any) -> Any:
        if not isinstance(task, self.kinds):
            return self.executor.run(task)
        try:
            return self.executor.run(task)
        except EdgeSplitError:
            raise
        except Exception as error:
            name = type(task).__name__
            _log.warning("%s failed on a peer's data", name, exc_info=error)
            raise ProgramError(f"{name} failed: {in_short(error)}") from error

    def modelled_s(self, task: Any) -> float:
        return self.executor.modelled_s(task)
