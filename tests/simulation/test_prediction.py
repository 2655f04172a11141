"""Simulated rounds beside what the planner's model of a round predicts for the same plan."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from attrs import evolve, frozen

from coordinator.fleet import Device
from coordinator.plan import Assignment
from coordinator.planning.optimal import Optimal
from coordinator.planning.problem import DeviceProblem, Option, Problem
from coordinator.planning.solution import Solution
from coordinator.planning.unpaced import Unpaced
from coordinator.simulation.conditions import Conditions, Shared
from coordinator.simulation.costs import Costs
from coordinator.simulation.payloads import Payloads
from device_agent.stopwatch import FORWARD_SHARE
from runtime.ids import DeviceId
from tests.simulation.stages import (
    JOB,
    SERVER_GFLOPS,
    TRACED,
    board,
    perform,
    weight_of,
)

_BYTES_PER_MEGABIT = 125_000
INT8 = evolve(JOB, codec=evolve(JOB.codec, up="int8", down="int8"))


@frozen
class Comparison:
    """Seconds of a round: predicted with static shares, bounded from below, and simulated."""

    static_s: float
    free_bound_s: float
    simulated_s: float


def option(device: Device) -> Option:
    """The device's cut as the planner sees it."""
    cut, batch = device.cut_at(1), INT8.training.batch
    payloads, costs = Payloads(INT8, TRACED), Costs(TRACED, SERVER_GFLOPS)
    step_s = costs.board_step_s(device.emulate, cut, batch)
    return Option(
        cut=cut,
        codec_up="int8",
        codec_down="int8",
        forward_s=step_s * FORWARD_SHARE,
        backward_s=step_s * (1 - FORWARD_SHARE),
        server_s=costs.serve_s(Assignment(DeviceId(device.id), cut, "int8", "int8", batch)),
        up_bytes=weight_of(payloads.smashed(cut, "int8", batch)),
        down_bytes=weight_of(payloads.gradient(cut, "int8", batch)),
        state_bytes=weight_of(payloads.state(cut)),
        device_memory_bytes=0,
        replica_memory_bytes=0,
    )


def problem(devices: Sequence[Device], shared: Shared) -> Problem:
    up, down = shared.rates
    return Problem(
        tuple(
            DeviceProblem(
                DeviceId(one.id),
                (option(one),),
                (one.emulate.uplink_mbps or 0) * _BYTES_PER_MEGABIT,
                (one.emulate.downlink_mbps or 0) * _BYTES_PER_MEGABIT,
            )
            for one in devices
        ),
        INT8.training.local_steps,
        up,
        down,
    )


def compare(devices: Sequence[Device], shared: Shared) -> Comparison:
    solution = Optimal().solve(problem(devices, shared))
    assert isinstance(solution, Solution)
    weights: dict[str, float] = {
        plan.device: plan.rates.up_bytes_per_s for plan in solution.devices
    }
    done = perform(devices, job=INT8, conditions=Conditions(shared), weights=weights)
    return Comparison(solution.round_s, solution.own_free_bound_s, done.duration_s())


OWN_LINKS = [
    board("a", "block1", up=10, down=20, step_s=0.03),
    board("b", "block2", up=5, down=10, step_s=0.06),
    board("c", "block3", up=2, down=5, step_s=0.12),
]
CROWD = [
    board(f"b{i}", cut, up=50, down=50, step_s=step_s)
    for i, (cut, step_s) in enumerate(
        [("block1", 0.02), ("block1", 0.04), ("block2", 0.05), ("block2", 0.02)]
    )
]
UNLIKE = [
    board("zero", "block1", up=20, down=20, step_s=0.15),
    board("three", "block2", up=20, down=20, step_s=0.10),
    board("four", "block2", up=50, down=50, step_s=0.05),
    board("five", "block3", up=50, down=50, step_s=0.05),
]


def test_without_a_budget_the_prediction_holds() -> None:
    found = compare(OWN_LINKS, Shared())
    assert found.simulated_s == pytest.approx(found.static_s, rel=0.05)


@pytest.mark.parametrize(
    ("devices", "mbps"), [(CROWD, 8.0), (UNLIKE, 12.0)], ids=["crowd", "unlike"]
)
def test_lent_shares_lie_between_the_bound_and_static_shares(
    devices: list[Device], mbps: float
) -> None:
    found = compare(devices, Shared(uplink_mbps=mbps, downlink_mbps=mbps))
    assert found.free_bound_s < found.simulated_s < found.static_s


def test_fair_shares_that_nobody_controls_are_bounded_too() -> None:
    shared = Shared(uplink_mbps=8, downlink_mbps=8, paced=False)
    solution = Unpaced().solve(problem(CROWD, shared))
    assert isinstance(solution, Solution)
    done = perform(CROWD, job=INT8, conditions=Conditions(shared))
    assert solution.own_free_bound_s < done.duration_s() < solution.round_s


if __name__ == "__main__":
    for name, fleet, own in (
        ("own links", OWN_LINKS, Shared()),
        ("crowd", CROWD, Shared(8, 8)),
        ("unlike", UNLIKE, Shared(12, 12)),
    ):
        print(name, compare(fleet, own))
