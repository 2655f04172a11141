"""The user's model: found by a spec in the job file, built from a seed.

A spec is `package.module:factory` or `file.py:factory`. A file is loaded under a private module
name, and the folders that a spec needs are appended to `sys.path`, never prepended: the names of
our own packages (`runtime`, `tests`) are generic, and a user's folder may hold its own
`runtime.py`.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from runtime.errors import ModelError


def load_factory(spec: str, base: Path) -> Callable[..., Any]:
    """The callable that `spec` names; a file's path is relative to `base`.

    Raises ModelError when the module cannot be imported or holds no such callable. A file is run
    once per content: two specs into one file share its module.
    """
    place, colon, name = spec.rpartition(":")
    if not (place and colon and name):
        raise ModelError(
            f"model spec {spec!r} is not 'package.module:factory' or 'file.py:factory'"
        )
    module = _load_file(base / place) if place.endswith(".py") else _import(place, base)
    factory = getattr(module, name, None)
    if factory is None:
        near = difflib.get_close_matches(name, [n for n in vars(module) if n[0] != "_"], n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ModelError(f"{place} has no attribute {name!r}{hint}")
    if not callable(factory):
        raise ModelError(f"{spec} is a {type(factory).__name__}, not a function or class")
    return factory  # type: ignore[no-any-return]


def build_model(spec: str, args: Mapping[str, Any], seed: int, base: Path) -> nn.Module:
    """Calls the factory with `args` as keywords, torch's generator seeded with `seed`.

    The caller's random state is left as it was. Raises ModelError when the factory cannot be
    loaded, raises, or returns something that is not an `nn.Module`.
    """
    factory = load_factory(spec, base)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = factory(**args)
        except Exception as error:
            raise ModelError(f"{spec} with {dict(args)} failed: {_told(error)}") from error
    if not isinstance(model, nn.Module):
        raise ModelError(f"{spec} returned a {type(model).__name__}, not a torch.nn.Module")
    return model


def _load_file(path: Path) -> ModuleType:
    path = path.resolve()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"model file {path} cannot be read: {error.strerror}") from error
    digest = hashlib.sha256(str(path).encode() + b"\0" + content).hexdigest()
    name = f"_edgesplit_user_{digest[:16]}"
    return sys.modules.get(name) or _run_file(name, path)


def _run_file(name: str, path: Path) -> ModuleType:
    _append_to_path(path.parent)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # a .py file always has a loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ModelError(f"model file {path} cannot be imported: {_told(error)}") from error
    return module


def _import(dotted: str, base: Path) -> ModuleType:
    _append_to_path(base.resolve())
    try:
        return importlib.import_module(dotted)
    except Exception as error:
        raise ModelError(f"module {dotted!r} cannot be imported: {_told(error)}") from error


def _append_to_path(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _told(error: Exception) -> str:
    """The error in one line, with the line of code it came from."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})" if trace else ""
    return f"{type(error).__name__}: {error}{where}"
