"""What devices get that buckets hold to static shares is what their plan foretells."""

from __future__ import annotations

import math

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from coordinator.planning.equal_bandwidth import EqualBandwidth
from coordinator.planning.head_start import with_head_starts
from coordinator.planning.problem import DeviceProblem, Option, Problem
from coordinator.planning.solution import Solution
from runtime.ids import DeviceId
from runtime.transfers.link_rate import chunk_bytes_at
from runtime.transfers.pacer import Pacer

SHARED = 400e3
PAUSE_S = 60.0


def option(up_bytes: float, down_bytes: float) -> Option:
    return Option("cut", "int8", "int8", 0.1, 0.2, 0.0, up_bytes, down_bytes, 0.0, 0.0, 0.0)


def solved(devices: int, up_bytes: float, down_bytes: float, shared: float | None) -> Solution:
    fleet = tuple(
        DeviceProblem(DeviceId(f"b{at}"), (option(up_bytes, down_bytes),), SHARED, SHARED)
        for at in range(devices)
    )
    problem = Problem(fleet, 1, shared, shared)
    solution = EqualBandwidth().solve(problem)
    assert isinstance(solution, Solution)
    return with_head_starts(problem, solution)


def through_s(size_bytes: float, rate: float) -> float:
    """Returns when a letter is through that a rested bucket lets go message by message."""
    pacer, message_bytes = Pacer(rate), chunk_bytes_at(math.inf, SHARED)
    now = free_s = PAUSE_S
    while size_bytes > 0:
        now = pacer.ready_at(now)
        piece_bytes = min(message_bytes, size_bytes)
        pacer.spend(int(piece_bytes), now)
        free_s = max(now, free_s) + piece_bytes / SHARED
        size_bytes -= piece_bytes
    return free_s - PAUSE_S


@given(st.integers(2, 12), st.integers(1, 400_000), st.integers(1, 400_000))
def test_a_letter_takes_what_its_bucket_lets_it(devices: int, up: int, down: int) -> None:
    told = solved(devices, up, down, SHARED).devices[0]
    assert told.terms.upload_s == pytest.approx(through_s(up, told.rates.up_bytes_per_s), abs=0.01)
    assert told.terms.download_s == pytest.approx(
        through_s(down, told.rates.down_bytes_per_s), abs=0.01
    )


def test_the_round_is_that_of_the_slowest_device() -> None:
    told = solved(4, 100e3, 50e3, SHARED)
    assert told.round_s == max(plan.terms.total_s for plan in told.devices)
    assert told.round_s < 0.3 + 100e3 / (SHARED / 4) + 50e3 / (SHARED / 4) - 0.15


def test_nothing_is_gained_where_nothing_is_shared() -> None:
    told = solved(4, 100e3, 50e3, None)
    assert told.round_s == pytest.approx(0.3 + 150e3 / SHARED)


def test_who_sends_nothing_gains_nothing() -> None:
    (plan, *_) = solved(2, 0.0, 0.0, SHARED).devices
    assert plan.terms == evolve(plan.terms, upload_s=0.0, download_s=0.0)
