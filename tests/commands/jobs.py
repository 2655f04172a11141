"""A job so small that a run of it takes a moment, with its fleet, model and data."""

from __future__ import annotations

from pathlib import Path

import numpy as np

_SIDE, _CLASSES = 8, 3


def tables_of_files(side: int) -> str:
    """Returns what a job says of the model and the images, `side` pixels wide, beside it."""
    return f"""
[model]
factory = "model.py:build"

[input]
shape = [1, {side}, {side}]
classes = {_CLASSES}

[evaluation]
source = "test.npz"
"""


JOB = f"""
[job]
name = "tiny"
rounds = 2
local_steps = 2
batch = 4
{tables_of_files(_SIDE)}
[optimiser]
name = "sgd"
lr = 0.05

[codec]
up = "int8"
down = "fp16"
"""

FLEET = """
[fleet]
name = "tiny"

[data]
source = "train.npz"

[[device]]
id = "left"
cut = "front"

[[device]]
id = "right"
cuts = [{ round = 1, cut = "front" }, { round = 2, cut = "middle" }]
"""

MODEL = """
from collections import OrderedDict

from torch import nn


def build():
    return nn.Sequential(
        OrderedDict(
            front=nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU()),
            middle=nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU()),
            back=nn.Sequential(nn.Flatten(), nn.Linear(64, 3)),
        )
    )
"""


def write_job(
    folder: Path,
    job: str = JOB,
    fleet: str = FLEET,
    model: str = MODEL,
    *,
    side: int = _SIDE,
    counts: tuple[int, int] = (40, 12),
) -> Path:
    """Writes everything into `folder` and returns the path of the job file.

    `counts` says how many images there are to train with, and to evaluate.
    """
    (folder / "model.py").write_text(model)
    (folder / "fleet.toml").write_text(fleet)
    random = np.random.default_rng(0)
    for name, count in zip(("train.npz", "test.npz"), counts, strict=True):
        inputs = random.integers(0, 256, (count, 1, side, side), dtype=np.uint8)
        np.savez(folder / name, x=inputs, y=np.arange(count) % _CLASSES)
    path = folder / "job.toml"
    path.write_text(job)
    return path
