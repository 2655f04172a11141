"""Rules for single values in configuration files, as attrs validators that know the fix."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from runtime.ids import is_legal_id

Rule = Callable[[Any, Any, Any], None]
"""An attrs validator: called with (instance, attribute, value)."""

_ENTRY_POINT = re.compile(r"(?:[A-Za-z_][\w.]*|[^:]+\.py):[A-Za-z_]\w*")
_SOURCE = re.compile(r"idx:[^,]+,[^,]+|[^:]+\.npz")


class Rejected(ValueError):
    """A value breaks a rule; carries what is wrong and how to mend it."""

    def __init__(self, message: str, fix: str) -> None:
        self.message = message
        self.fix = fix
        super().__init__(f"{message}; {fix}")


def at_least(bound: float) -> Rule:
    """Returns the rule that a number is `bound` or more."""

    def rule(_instance: Any, _attribute: Any, value: float) -> None:
        if value < bound:
            raise Rejected(f"{value} is too small", f"write {bound} or more")

    return rule


def above(bound: float) -> Rule:
    """Returns the rule that a number is greater than `bound`."""

    def rule(_instance: Any, _attribute: Any, value: float) -> None:
        if not value > bound:
            raise Rejected(f"{value} is too small", f"write a number above {bound}")

    return rule


def not_empty(_instance: Any, _attribute: Any, value: Any) -> None:
    """The rule that a text or list holds something."""
    if not value:
        raise Rejected("it is empty", "write at least one entry")


def legal_id(_instance: Any, _attribute: Any, value: str) -> None:
    """The rule for names that become part of a topic, see `runtime.ids`."""
    if not is_legal_id(value):
        raise Rejected(
            f"{value!r} cannot be a name",
            "write 1 to 48 of a-z, 0-9 and '-' (and not 'coordinator')",
        )


def is_entry_point(text: str) -> bool:
    """Tells whether `text` reads `package.module:function` or `file.py:function`."""
    return _ENTRY_POINT.fullmatch(text) is not None


def entry_point(_instance: Any, _attribute: Any, value: str) -> None:
    """The rule for the name of a user's function."""
    if not is_entry_point(value):
        raise Rejected(
            f"{value!r} does not name a function",
            "write 'package.module:function' or 'file.py:function'",
        )


def data_source(_instance: Any, _attribute: Any, value: str) -> None:
    """The rule for data sources, see `runtime.dataset.open_source`."""
    if not _SOURCE.fullmatch(value) and not is_entry_point(value):
        raise Rejected(
            f"{value!r} is not a data source",
            "write 'file.npz', 'idx:images,labels', 'package.module:function' "
            "or 'file.py:function'",
        )
