"""Functions that a user names in a file: `package.module:function` or `file.py:function`.

A file is loaded under a private module name, and the folders that it needs are appended to
`sys.path`, never prepended: the names of our own packages (`runtime`, `tests`) are generic, and
a user's folder may hold its own `runtime.py`.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from runtime.config_rules import is_entry_point
from runtime.errors import EdgeSplitError


def load_function(text: str, base: Path, error: type[EdgeSplitError]) -> Callable[..., Any]:
    """Returns the function or class that `text` names, looked up from the folder `base`.

    Raises `error` when there is no such file, module or function, or when loading it fails. A
    file is run once per content: two names in one file share its module.
    """
    if not is_entry_point(text):
        raise error(f"{text!r} does not read 'package.module:function' or 'file.py:function'")
    place, _, name = text.rpartition(":")
    try:
        module = _from_file(base / place) if place.endswith(".py") else _from_package(place, base)
    except Exception as cause:  # the user's code may raise anything at all
        raise error(f"{text}: cannot be loaded: {in_one_line(cause)}") from cause
    function = getattr(module, name, None)
    if function is not None and not callable(function):
        raise error(f"{text}: it is a {type(function).__name__}, not a function or class")
    if function is None:
        near = get_close_matches(name, [one for one in vars(module) if one[0] != "_"], n=1)
        hint = f"did you mean {near[0]!r}?" if near else "define it there"
        raise error(f"{text}: {place} has no function {name!r}; {hint}")
    return function  # type: ignore[no-any-return]


def in_one_line(error: Exception) -> str:
    """Returns the error with the line of code that it comes from."""
    trace = traceback.extract_tb(error.__traceback__)
    where = f" ({trace[-1].filename}:{trace[-1].lineno})" if trace else ""
    return f"{type(error).__name__}: {error}{where}"


def _from_package(name: str, base: Path) -> ModuleType:
    _append_to_path(base.resolve())
    return importlib.import_module(name)


def _from_file(path: Path) -> ModuleType:
    """Loads the file under a name of its own, so that it can hide no installed module."""
    path = path.resolve()
    digest = hashlib.sha256(str(path).encode() + b"\0" + path.read_bytes()).hexdigest()
    name = f"_edgesplit_file_{digest[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    _append_to_path(path.parent)
    return _run(name, path)


def _run(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # a .py file always has a loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _append_to_path(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
