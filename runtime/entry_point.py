"""Functions that a user names in a file: `package.module:function` or `file.py:function`."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from runtime.config_rules import is_entry_point
from runtime.errors import EdgeSplitError


def load_function(text: str, base: Path, error: type[EdgeSplitError]) -> Callable[..., Any]:
    """Returns the function that `text` names; a file is looked up from the folder `base`.

    Raises `error` when there is no such file, module or function, or when loading it fails.
    """
    if not is_entry_point(text):
        raise error(f"{text!r} does not read 'package.module:function' or 'file.py:function'")
    place, _, name = text.rpartition(":")
    try:
        module = _from_file(base / place) if place.endswith(".py") else _from_package(place)
    except Exception as cause:  # the user's code may raise anything at all
        raise error(f"{text}: cannot be loaded: {type(cause).__name__}: {cause}") from cause
    function = getattr(module, name, None)
    if not callable(function):
        raise error(f"{text}: {place} has no function {name!r}; define it there")
    return function  # type: ignore[no-any-return]


def _from_package(name: str) -> ModuleType:
    return importlib.import_module(name)


def _from_file(path: Path) -> ModuleType:
    """Loads the file once, under a name of its own, so that it can hide no installed module."""
    path = path.resolve()
    name = f"_edgesplit_file_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
