"""The whole model as one more cut of planners that go by measurements."""

from __future__ import annotations

import attrs

from coordinator.planning.live_planner import LivePlanner
from coordinator.planning.planners import SOLVERS
from coordinator.profiling.cut_survey import CutSurvey
from coordinator.profiling.time_model import Load
from runtime.ids import DeviceId
from runtime.presence import Limits
from runtime.program import WHOLE_MODEL
from tests.machines.coordinating import birth
from tests.profiling.live_world import BATCH, CUTS, WHOLE, LiveWorld, Speed, steady
from tests.world import PLAIN

ONE = DeviceId("board-1")
FAST, SLOW = steady(5e11), steady(1e9)


def trained(*speeds: Speed, rounds: int = 3, local_steps: int = 4) -> LiveWorld:
    world = LiveWorld(*speeds, rounds=rounds, local_steps=local_steps, cuts=(*CUTS, WHOLE))
    world.start_all()
    world.run()
    return world


def survey(*cuts: str) -> CutSurvey:
    chosen = tuple(cut for cut in (*CUTS, WHOLE) if cut.name in cuts)
    return CutSurvey(chosen, 3 * 10**8, {ONE: BATCH}, PLAIN, known=(*CUTS, WHOLE))


def test_it_is_probed_and_taken_where_it_is_faster() -> None:
    world = trained(FAST, SLOW)
    measured = [e for e in world.records.streams["events"] if e["event"] == "measured"]
    assert {e["device"] for e in measured if e["cut"] == WHOLE_MODEL} == {"board-0", "board-1"}
    assert set(world.cuts_of("board-0")) == {WHOLE_MODEL}
    assert WHOLE_MODEL not in world.cuts_of("board-1")


def test_rounds_of_the_whole_model_take_what_was_foretold() -> None:
    world = trained(steady(1e11), local_steps=20)
    last = world.records.streams["rounds"][-1]
    assert last["devices"]["board-0"]["cut"] == WHOLE_MODEL
    assert abs(last["duration_s"] / last["predicted_s"] - 1) < 0.15


def test_a_board_that_slows_down_gives_layers_back() -> None:
    world = trained(lambda now: 5e11 if now < 2 else 1e9, rounds=60)
    cuts = world.cuts_of("board-0")
    assert (cuts[0], cuts[-1]) == (WHOLE_MODEL, "shallow")


def test_full_local_plans_from_the_one_probe() -> None:
    world = LiveWorld(FAST, SLOW, rounds=2, cuts=(WHOLE,))
    assert isinstance(world.planner, LivePlanner)
    world.planner = attrs.evolve(world.planner, solver=SOLVERS["full-local"])
    world.start_all()
    world.run()
    assert {*world.cuts_of("board-0"), *world.cuts_of("board-1")} == {WHOLE_MODEL}
    assert len(world.measured.profiles[ONE].probed) == 1


def test_what_does_not_fit_is_not_probed() -> None:
    roomy = Limits(10**9, 10**9, WHOLE.training_memory_bytes(BATCH))
    tight = attrs.evolve(roomy, memory_bytes=roomy.memory_bytes - 1)
    found = [
        [
            one.cut
            for one in survey("shallow", "deep", WHOLE_MODEL).probes(birth(ONE, limits=limits))
        ]
        for limits in (roomy, tight)
    ]
    assert found == [["shallow", "deep", WHOLE_MODEL], ["shallow", "deep"]]


def test_nothing_of_it_is_coded_and_nothing_asked_of_the_server() -> None:
    (probe,) = survey(WHOLE_MODEL).probes(birth(ONE))
    assert (probe.codec_up, probe.codec_down) == ("fp32", "fp32")
    assert survey(WHOLE_MODEL).server_load(probe) == Load(0, 0)


def test_plans_made_elsewhere_may_name_other_cuts() -> None:
    (probe,) = survey(WHOLE_MODEL).probes(birth(ONE))
    other = attrs.evolve(probe, cut="deep")
    assert survey(WHOLE_MODEL).device_load(other) == survey("deep").device_load(other)
