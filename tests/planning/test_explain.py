"""An explanation names every device and term, the bottleneck, and what would help most."""

from __future__ import annotations

from attrs import evolve

from coordinator.planning.explain import explain, what_helps
from coordinator.planning.optimal import Optimal
from coordinator.planning.problem import Problem
from coordinator.planning.solution import Infeasible, Solution
from tests.planning.test_planners import DEEP, MB, SHALLOW, board, fleet

SLOW = evolve(DEEP, forward_s=5.0, backward_s=10.0)


def solved(problem: Problem) -> Solution:
    solution = Optimal().solve(problem)
    assert isinstance(solution, Solution)
    return solution


def test_it_tells_every_device_its_terms_and_who_is_left_out() -> None:
    problem = fleet(board("fast", DEEP), board("slow", SLOW), board("none"), budget=4 * MB)
    solution = solved(problem)
    text = explain(problem, Optimal(), solution)
    assert f"a round takes {solution.round_s:.2f} s" in text
    row = next(line for line in text.splitlines() if line.startswith("slow"))
    assert row.split()[1:3] == ["deep", "int8/int8"]
    assert row.split()[-1] == f"{solution.devices[1].terms.total_s:.2f}"
    assert "left out: none: no cut is legal for it" in text
    assert "bottleneck: slow" in text


def test_a_faster_board_helps_where_compute_is_the_bottleneck() -> None:
    problem = fleet(board("fast", DEEP), board("slow", SLOW), budget=4 * MB)
    best = what_helps(problem, Optimal(), solved(problem))[0]
    assert best.change == "a board twice as fast for slow"
    assert best.round_s < 0.6 * solved(problem).round_s


def test_bandwidth_or_a_codec_helps_where_the_link_is_the_bottleneck() -> None:
    problem = fleet(board("a", SHALLOW), board("b", SHALLOW), budget=0.5 * MB)
    helps = what_helps(problem, Optimal(), solved(problem))
    assert helps[0].change == "50 % more uplink"
    halved = evolve(SHALLOW, up_bytes=SHALLOW.up_bytes / 2, down_bytes=SHALLOW.down_bytes / 2)
    coarser = fleet(board("a", SHALLOW, halved), board("b", SHALLOW, halved), budget=0.5 * MB)
    helps = what_helps(problem, Optimal(), solved(problem), coarser)
    assert helps[0].change == "the next codec"


def test_another_worker_helps_where_the_server_is_the_bottleneck() -> None:
    busy = evolve(SHALLOW, server_s=3.0)
    problem = fleet(*(board(name, busy) for name in "abcd"))
    text = explain(problem, Optimal(), solved(problem))
    assert "bottleneck: the server" in text
    assert "one more server worker" in text


def test_an_impossible_problem_is_told_with_its_remedy() -> None:
    problem = evolve(fleet(board("a", DEEP)), server_memory_bytes=1 * MB)
    result = Optimal().solve(problem)
    assert isinstance(result, Infeasible)
    text = explain(problem, Optimal(), result)
    assert "to make one possible: give the server 20.0 MB" in text
