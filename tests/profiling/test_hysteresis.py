"""Cuts move where it pays, and only there."""

from __future__ import annotations

from typing import ClassVar

import pytest
from attrs import evolve, frozen

from coordinator.planning.hysteresis import Hysteresis
from coordinator.planning.optimal import Optimal
from coordinator.planning.problem import DeviceProblem, Option, Problem, Rates
from coordinator.planning.solution import Infeasible, Solution, Solver
from runtime.ids import DeviceId

OPTIMAL = Optimal()
ONE, TWO = DeviceId("board-1"), DeviceId("board-2")


def option(cut: str, step_s: float, state_bytes: float = 0.0) -> Option:
    return Option(
        cut, "int8", "int8", step_s / 3, step_s * 2 / 3, 0.0, 1.0, 1.0, state_bytes, 0.0, 0.0
    )


def problem(new_s: float, state_bytes: float = 0.0, rest_s: float = 0.1) -> Problem:
    """Board 1 takes 1 s at the old cut; board 2 is no bottleneck at either of its own."""
    one = (option("old", 1.0), option("new", new_s, state_bytes))
    two = (option("old", rest_s), option("new", rest_s / 2))
    devices = (DeviceProblem(ONE, one, 1e6, 1e6), DeviceProblem(TWO, two, 1e6, 1e6))
    return Problem(devices, local_steps=10)


def cuts(asked: Problem, rounds_left: int = 10, solver: Solver = OPTIMAL) -> dict[str, str]:
    before = {ONE: "old", TWO: "old"}
    found = Hysteresis(0.05).solve(asked, solver, before, rounds_left)
    assert isinstance(found, Solution)
    return {plan.device: plan.option.cut for plan in found.devices}


@pytest.mark.parametrize(("new_s", "cut"), [(0.5, "new"), (0.9, "new"), (0.97, "old")])
def test_a_small_gain_moves_nothing(new_s: float, cut: str) -> None:
    assert cuts(problem(new_s))[ONE] == cut


def test_who_does_not_matter_stays() -> None:
    assert cuts(problem(0.5)) == {ONE: "new", TWO: "old"}


@pytest.mark.parametrize(("rounds_left", "cut"), [(10, "new"), (1, "old")])
def test_the_rounds_to_come_must_pay_for_the_move(rounds_left: int, cut: str) -> None:
    """The move carries 2 MB in about 2 s and saves 1 s a round."""
    assert cuts(problem(0.5, state_bytes=2e6), rounds_left)[ONE] == cut


@frozen
class Weighing:
    """Plans with weights, whose unit says nothing, as those for shares that lend may be."""

    name: ClassVar[str] = "weighing"

    def solve(self, problem: Problem) -> Solution | Infeasible:
        found = OPTIMAL.solve(problem)
        assert isinstance(found, Solution)
        even = Rates(1.0, 1.0)
        return evolve(found, devices=tuple(evolve(one, rates=even) for one in found.devices))


@pytest.mark.parametrize(("rounds_left", "cut"), [(10, "new"), (1, "old")])
def test_what_a_move_takes_is_no_matter_of_weights(rounds_left: int, cut: str) -> None:
    assert cuts(problem(0.5, state_bytes=2e6), rounds_left, Weighing())[ONE] == cut


def test_the_first_plan_is_free() -> None:
    found = Hysteresis().solve(problem(0.99), Optimal(), {}, 10)
    assert isinstance(found, Solution)
    assert found.devices[0].option.cut == "new"
