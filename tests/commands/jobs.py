"""A job so small that a run of it takes a moment, with its fleet, model and data."""

from __future__ import annotations

from pathlib import Path

import numpy as np

JOB = """
[job]
name = "tiny"
rounds = 2
local_steps = 2
batch = 4

[model]
factory = "model.py:build"

[input]
shape = [1, 8, 8]
classes = 3

[optimiser]
name = "sgd"
lr = 0.05

[evaluation]
source = "test.npz"

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


def write_job(folder: Path, job: str = JOB, fleet: str = FLEET) -> Path:
    """Writes everything into `folder` and returns the path of the job file."""
    (folder / "model.py").write_text(MODEL)
    (folder / "fleet.toml").write_text(fleet)
    random = np.random.default_rng(0)
    for name, count in (("train.npz", 40), ("test.npz", 12)):
        inputs = random.integers(0, 256, (count, 1, 8, 8), dtype=np.uint8)
        np.savez(folder / name, x=inputs, y=np.arange(count) % 3)
    path = folder / "job.toml"
    path.write_text(job)
    return path
