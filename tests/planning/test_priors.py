"""A problem from priors holds what the files state, and asks for what they do not."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve
from pytest import approx

from coordinator.cutting.cut_check import trace_job
from coordinator.cutting.traced_model import TracedModel
from coordinator.fleet import Fleet
from coordinator.job import Job
from coordinator.planning.full_local import FullLocal
from coordinator.planning.optimal import Optimal
from coordinator.planning.priors import (
    Priors,
    build_problem,
    bytes_per_s,
    gaps,
    with_coarser_codecs,
    with_cuts_of,
    with_whole_model,
)
from coordinator.planning.solution import Solution
from runtime.codecs import encoded_bytes
from runtime.config import load
from runtime.ids import DeviceId
from tests.commands.jobs import FLEET, write_job

STATED = """
emulate = { gflops = 1e-3, uplink_mbps = 2, downlink_mbps = 4 }
"""
FILE = FLEET.replace('id = "left"', 'id = "left"\nbatch = 8' + STATED).replace(
    'id = "right"', 'id = "right"' + STATED
)
PRIORS = Priors(server_gflops=0.5)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return load(write_job(tmp_path, fleet=FILE), Job)


@pytest.fixture
def fleet(job: Job) -> Fleet:
    return load(job.base / "fleet.toml", Fleet)


@pytest.fixture
def traced(job: Job) -> TracedModel:
    return trace_job(job)


def test_times_bytes_and_rates_follow_the_files(
    job: Job, fleet: Fleet, traced: TracedModel
) -> None:
    left, right = build_problem(job, fleet, traced, PRIORS).devices
    assert (left.uplink_bytes_per_s, left.downlink_bytes_per_s) == (250e3, 500e3)
    assert [option.cut for option in left.options] == [cut.name for cut in traced.cuts]
    assert {(one.codec_up, one.codec_down) for one in left.options} == {("int8", "fp16")}
    for option, half, cut in zip(left.options, right.options, traced.cuts, strict=True):
        shape = (8, *cut.smashed_shape)
        flops = 8 * cut.device_flops_per_sample
        assert option.forward_s + option.backward_s == approx(3 * flops / 1e6)
        assert option.server_s == approx(3 * (8 * traced.flops_per_sample - flops) / 0.5e9)
        assert option.up_bytes == encoded_bytes("int8", shape) + 8
        assert option.down_bytes == encoded_bytes("fp16", shape)
        assert half.server_s == approx(option.server_s / 2)


def test_limits_of_the_job_and_of_the_links_are_the_problems(
    job: Job, fleet: Fleet, traced: TracedModel
) -> None:
    server = evolve(job.server, workers=3, memory_mb=2.5)
    limited = evolve(job, server=server, cuts=evolve(job.cuts, minimum="middle"))
    priors = Priors(0.5, bytes_per_s(8), None, {DeviceId("right"): 9.0})
    problem = build_problem(limited, fleet, traced, priors)
    assert (problem.uplink_bytes_per_s, problem.downlink_bytes_per_s) == (1e6, None)
    assert (problem.server_workers, problem.server_memory_bytes) == (3, 2.5e6)
    assert problem.local_steps == job.training.local_steps
    assert problem.devices[0].memory_bytes == float("inf")
    assert problem.devices[1].memory_bytes == 9
    assert "front" not in {option.cut for option in problem.devices[0].options}


def test_a_board_too_small_for_every_cut_is_left_out(
    job: Job, fleet: Fleet, traced: TracedModel
) -> None:
    priors = evolve(PRIORS, memory_bytes={DeviceId("right"): 1e6})
    answer = Optimal().solve(build_problem(job, fleet, traced, priors))
    assert isinstance(answer, Solution)
    assert [one.device for one in answer.left_out] == ["right"]


def test_only_one_option_trains_the_whole_model(
    job: Job, fleet: Fleet, traced: TracedModel
) -> None:
    problem = build_problem(job, fleet, traced, PRIORS)
    whole = with_whole_model(problem, job, fleet, traced)
    for before, after in zip(problem.devices, whole.devices, strict=True):
        assert after.options[:-1] == before.options
        assert after.options[-1].is_whole_model
        assert after.options[-1].state_bytes == 4 * traced.parameters
        assert after.options[-1].device_memory_bytes > before.options[-1].device_memory_bytes
    answer = FullLocal().solve(whole)
    assert isinstance(answer, Solution)
    assert all(plan.terms.upload_s == 0 for plan in answer.devices)


def test_the_fleets_own_cuts_are_those_of_the_first_round(
    job: Job, fleet: Fleet, traced: TracedModel
) -> None:
    fixed = with_cuts_of(build_problem(job, fleet, traced, PRIORS), fleet, traced)
    assert [[one.cut for one in device.options] for device in fixed.devices] == [
        [traced.cut("front").name],
        [traced.cut("front").name],
    ]


def test_codecs_become_coarser_until_they_are_coarsest(job: Job) -> None:
    coarser = with_coarser_codecs(job)
    assert coarser is not None
    assert (coarser.codec.up, coarser.codec.down) == ("int8", "int8")
    assert with_coarser_codecs(coarser) is None


def test_gaps_name_every_missing_key_and_pass_over_cards_on_request(fleet: Fleet) -> None:
    assert list(gaps(fleet, Path("fleet.toml"))) == []
    left, right = fleet.devices
    bare = evolve(right, emulate=evolve(right.emulate, gflops=None, uplink_mbps=None))
    silent = evolve(left, board="some-card", emulate=evolve(left.emulate, downlink_mbps=None))
    lacking = evolve(fleet, device=(silent, bare))
    own = ["device[1].emulate.gflops", "device[1].emulate.uplink_mbps"]
    found = [one.key for one in gaps(lacking, Path("fleet.toml"))]
    assert found == ["device[0].emulate.downlink_mbps", *own]
    assert [one.key for one in gaps(lacking, Path("fleet.toml"), carded=False)] == own


def test_a_stated_step_time_goes_without_a_rate(fleet: Fleet) -> None:
    left = fleet.devices[0]
    timed = evolve(left, emulate=evolve(left.emulate, gflops=None, step_s=0.3))
    assert list(gaps(evolve(fleet, device=(timed,)), Path("fleet.toml"))) == []
