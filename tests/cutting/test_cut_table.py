"""The table of cuts that an operator reads."""

from __future__ import annotations

import torch
from torch import nn

from coordinator.cutting.cut_table import render_cuts
from coordinator.cutting.traced_model import trace
from coordinator.zoo.small_cnn import small_cnn


def test_one_line_per_cut_with_its_numbers() -> None:
    traced = trace(small_cnn(), [torch.zeros(1, 1, 28, 28)])
    lines = render_cuts(traced, batch=32).splitlines()
    assert lines[0].split("  ")[0] == "cut"
    rows = {line.split()[0]: line.split()[1:] for line in lines[1 : 1 + len(traced.places)]}
    assert list(rows) == [*(cut.name for cut in traced.cuts), "whole-model"]
    assert rows["whole-model"][:5] == ["-", "3.85", "100.0%", "29,178", "0.00"]
    memory = traced.cut("block2").training_memory_bytes(32) / 2**20
    assert rows["block2"] == ["32x7x7", "2.03", "52.8%", "4,848", "6.12", f"{memory:.1f}"]
    assert lines[-1].endswith("29,178 parameters; training memory estimated at batch 32")
    assert len({len(line) for line in lines[: 1 + len(traced.places)]}) == 1


def test_a_model_without_counted_operations() -> None:
    model = nn.Sequential(nn.LayerNorm(4), nn.ReLU(), nn.LayerNorm(4))
    text = render_cuts(trace(model, [torch.zeros(1, 4)]), batch=1)
    assert "0.0%" in text
