"""A board that refuses a cut is given one that it was seen to run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from attrs import define, frozen

from coordinator.policy import Policy
from coordinator.tasks import Prepare, PrepareProbe
from device_agent.tasks import Begin
from runtime.errors import ProgramError
from runtime.executor import Executor
from runtime.exits import Exit
from runtime.ids import DeviceId
from runtime.program import WHOLE_MODEL
from tests.profiling.live_world import CUTS, WHOLE, LiveWorld, PacedLaboratory, steady

ONE = DeviceId("board-0")
DROP = Policy(lost="drop", quorum=1)
FAST = steady(1e11)
"""So fast that the deepest cut suits it best."""


@frozen
class Unable:
    """An executor, a board's or the coordinator's, that can do nothing at these cuts."""

    inner: Executor
    cuts: frozenset[str]
    probes_well: bool = False

    def modelled_s(self, task: Any) -> float:
        return self.inner.modelled_s(task)

    def run(self, task: Any) -> Any:
        match task:
            case Begin(order) if order.attempt.number or not self.probes_well:
                self._refuse(order.cut)
            case Prepare(assignment) | PrepareProbe(assignment):
                self._refuse(assignment.cut)
        return self.inner.run(task)

    def _refuse(self, cut: str) -> None:
        if cut in self.cuts:
            raise ProgramError(f"no way to run {cut}")


@define
class UnableLaboratory:
    """The first board cannot run some cuts, or the compiler cannot make them."""

    paced: PacedLaboratory
    cuts: frozenset[str]
    probes_well: bool = False
    compiler: bool = False

    def coordinator(self) -> tuple[Any, int, Mapping[DeviceId, int]]:
        executor, done, positions = self.paced.coordinator()
        return (Unable(executor, self.cuts) if self.compiler else executor), done, positions

    def entry(self) -> Mapping[str, Any]:
        return self.paced.entry()

    def device(self, name: DeviceId) -> tuple[Any, int]:
        executor, held = self.paced.device(name)
        if self.compiler or name != ONE:
            return executor, held
        return Unable(executor, self.cuts, self.probes_well), held


def world_of(
    *cuts: str,
    boards: int = 1,
    policy: Policy | None = None,
    probes_well: bool = False,
    compiler: bool = False,
) -> LiveWorld:
    """Returns a world of fast boards in which these cuts cannot be run."""
    world = LiveWorld(*[FAST] * boards, rounds=3, cuts=(*CUTS, WHOLE))
    world.laboratory = UnableLaboratory(world.paced, frozenset(cuts), probes_well, compiler)
    world.policy = policy or world.policy
    world.start_all()
    return world


DEEPEST_THAT_RUNS = [
    (("middle", "deep", WHOLE_MODEL), "shallow", ["deep", "middle"]),
    (("deep", WHOLE_MODEL), "middle", ["deep"]),
    ((WHOLE_MODEL,), "deep", [WHOLE_MODEL]),
]


class TestProbes:
    @pytest.mark.parametrize(("unable", "cut", "asked"), DEEPEST_THAT_RUNS)
    @pytest.mark.parametrize("compiler", [False, True])
    def test_only_cuts_that_ran_or_lie_in_front_of_them_are_planned(
        self, unable: tuple[str, ...], cut: str, asked: list[str], compiler: bool
    ) -> None:
        world = world_of(*unable, compiler=compiler)
        halt = world.run()
        assert halt.code is Exit.OK, halt
        assert [name for _, name in world.told("probe failed")] == asked
        assert world.told("attempt failed") == []
        assert set(world.cuts_of(ONE)) == {cut}


class TestRounds:
    def test_a_board_that_was_dropped_for_refusing_is_given_a_shallower_cut(self) -> None:
        world = world_of("deep", WHOLE_MODEL, boards=2, policy=DROP, probes_well=True)
        assert world.run().code is Exit.OK
        (first, *_, last) = world.records.streams["rounds"]
        assert ONE not in first["devices"]
        assert last["devices"][ONE]["cut"] == "shallow"

    def test_without_a_quorum_the_run_ends(self) -> None:
        halt = world_of("deep", WHOLE_MODEL, policy=DROP, probes_well=True).run()
        assert halt.code is Exit.FLEET
        assert "no way to run" in halt.reason
