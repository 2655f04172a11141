"""The exit codes of both commands, in one table."""

from __future__ import annotations

from enum import IntEnum

from runtime.errors import (
    BrokerError,
    ConfigError,
    DataError,
    EdgeSplitError,
    ModelError,
    ProgramError,
    StorageError,
)


class Exit(IntEnum):
    """What a process ended for; `sentence` is what `--help` prints."""

    sentence: str

    def __new__(cls, code: int, sentence: str) -> Exit:
        member = int.__new__(cls, code)
        member._value_ = code
        member.sentence = sentence
        return member

    OK = 0, "the job is done, or the process was asked to stop"
    INTERNAL = 1, "a defect of EdgeSplit: please report it with the log"
    USAGE = 2, "the command line is wrong"
    CONFIG = 10, "a job, fleet or agent file is wrong; every problem was listed"
    MODEL = 11, "the model cannot be loaded, traced, cut or compiled"
    DATA = 12, "a data set is missing or does not fit"
    STORAGE = 13, "a run, checkpoint or cache cannot be read or written"
    BROKER = 20, "the broker refuses us or could not be started"
    SUPERSEDED = 21, "another process with the same identity and a later start took over"
    FLEET = 22, "a device of the plan cannot do its part"
    CHILD = 30, "a process of a rehearsal failed"
    INTERRUPTED = 130, "interrupted before the job was done"


_BY_ERROR: tuple[tuple[type[EdgeSplitError], Exit], ...] = (
    (ConfigError, Exit.CONFIG),
    (ModelError, Exit.MODEL),
    (ProgramError, Exit.MODEL),
    (DataError, Exit.DATA),
    (StorageError, Exit.STORAGE),
    (BrokerError, Exit.BROKER),
)


def exit_for(error: EdgeSplitError) -> Exit:
    """Returns the exit code for an error that reached the top of a command."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), Exit.INTERNAL)


def exit_table() -> str:
    """Returns the table of exit codes as `--help` prints it, a line for each."""
    return "\n".join(["exit codes:", *(f"  {code.value:>3}  {code.sentence}" for code in Exit)])
