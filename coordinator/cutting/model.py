"""The user's model, built from a seed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from runtime.entry_point import in_one_line, load_function
from runtime.errors import ModelError


def build_model(spec: str, args: Mapping[str, Any], seed: int, base: Path) -> nn.Module:
    """Calls the factory with `args` as keywords, torch's generator seeded with `seed`.

    The caller's random state is left as it was. Raises ModelError when the factory cannot be
    loaded, raises, or returns something that is not an `nn.Module`.
    """
    factory = load_function(spec, base, ModelError)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = factory(**args)
        except Exception as error:
            raise ModelError(f"{spec} with {dict(args)} failed: {in_one_line(error)}") from error
    if not isinstance(model, nn.Module):
        raise ModelError(f"{spec} returned a {type(model).__name__}, not a torch.nn.Module")
    return model
