"""A coordinator makes segments all the time: nothing of those that are gone may stay."""

from __future__ import annotations

import copy
import linecache

import pytest
import torch
from torch import nn
from torch.fx.graph_module import _loader as fx_sources

from coordinator.cutting.traced_model import TracedModel, trace


def _traced() -> TracedModel:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 6), nn.Linear(6, 3))
    return trace(model, (torch.zeros(2, 4),))


def test_no_source_outlives_its_segment() -> None:
    traced = _traced()
    before = len(linecache.cache), len(fx_sources.eval_cache)
    for _ in range(5):
        server = copy.deepcopy(traced.split(traced.cuts[0].name).server)
        assert server(torch.zeros(2, 4)).shape == (2, 3)
    assert (len(linecache.cache), len(fx_sources.eval_cache)) == before


def test_an_error_in_a_segment_is_still_told() -> None:
    traced = _traced()
    server = traced.split(traced.cuts[0].name).server
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        server(torch.zeros(2, 5))
