"""The coordinator measures, plans, watches and plans again: whole fleets in virtual time."""

from __future__ import annotations

from itertools import pairwise

import pytest

from runtime.ids import COORDINATOR, DeviceId
from runtime.transport.memory import Weather
from tests.profiling.live_world import BATCH, CUTS, LiveWorld, Speed, steady, step_s
from tests.world import NullWorld

ONE, TWO = DeviceId("board-0"), DeviceId("board-1")
FIXED_CHAIN = "de9f552e5ea366c0d8866057fb5202ff09dfaec8fc4e20fcb7b45294c5208cb9"
"""What three boards and three rounds came to before anything was ever measured."""


def finished(*speeds: Speed, rounds: int) -> LiveWorld:
    world = LiveWorld(*speeds, rounds=rounds)
    world.start_all()
    world.run()
    return world


def changes(cuts: list[str]) -> int:
    return sum(a != b for a, b in pairwise(cuts))


class TestMeasuring:
    def test_every_board_is_measured_before_the_first_plan(self) -> None:
        world = finished(steady(1e9), steady(1e10), rounds=1)
        events = world.records.streams["events"]
        measured = [(e["device"], e["cut"]) for e in events if e["event"] == "measured"]
        assert sorted(measured) == [(n, c.name) for n in (ONE, TWO) for c in sorted(
            CUTS, key=lambda cut: cut.name)]  # fmt: skip
        for name, speed in ((ONE, 1e9), (TWO, 1e10)):
            profile = world.measured.profiles[name]
            for cut, probed in profile.probed.items():
                assert probed.time.total_s == pytest.approx(step_s(cut, speed))
            assert profile.uplink.value == pytest.approx(1e6, rel=0.02)
            assert profile.downlink.value == pytest.approx(1e6, rel=0.02)

    def test_measuring_uses_no_sample(self) -> None:
        world = finished(steady(1e9), rounds=2)
        assert dict(world.paced.disk[2].positions) == {ONE: 2 * 4 * BATCH}

    def test_a_round_takes_what_was_foretold(self) -> None:
        world = finished(steady(1e9), steady(4e9), steady(3e10), rounds=3)
        for entry in world.records.streams["rounds"]:
            assert entry["duration_s"] == pytest.approx(entry["predicted_s"], rel=0.02)

    def test_each_board_gets_the_cut_that_suits_it(self) -> None:
        world = finished(steady(1e9), steady(1e10), rounds=1)
        assert (world.cuts_of(ONE), world.cuts_of(TWO)) == (["shallow"], ["middle"])


class TestPlanningAgain:
    def test_a_board_that_slows_down_moves_within_two_rounds(self) -> None:
        slow_from_s = 20.0
        world = finished(lambda now: 4e9 if now < slow_from_s else 1e9, steady(3e10), rounds=20)
        cuts, ends = world.cuts_of(ONE), _ends(world)
        slowed = next(number for number, end_s in enumerate(ends) if end_s > slow_from_s)
        assert set(cuts[:slowed]) == {"middle"}
        assert set(cuts[slowed + 2 :]) == {"shallow"}
        assert changes(cuts) <= 3

    def test_a_board_that_wavers_keeps_its_cut(self) -> None:
        world = finished(lambda now: 4e9 * (1 + 0.1 * (int(now) % 2)), rounds=12)
        assert changes(world.cuts_of(ONE)) == 0


class TestRecovery:
    BREEZE = Weather(delay_s=(0.001, 0.02))

    def world(self) -> LiveWorld:
        return LiveWorld(steady(2e9), steady(1e10), rounds=2, local_steps=2, weather=self.BREEZE)

    @pytest.mark.parametrize("party", [COORDINATOR, ONE])
    def test_a_crash_at_any_event_ends_well_and_replays(self, party: DeviceId) -> None:
        calm = self.world()
        calm.start_all()
        calm.run()
        for event in range(1, calm.lives[party].host.handled, 5):
            world = self._crashed(self.world(), party, event)
            assert world is not None
            again = self.world()
            again.replayed = world.plans
            again.start_all()
            again.run()
            assert again.chain == world.chain, event
            assert again.plans == world.plans

    @pytest.mark.parametrize("party", [COORDINATOR, ONE])
    def test_a_crash_in_a_replay_changes_nothing(self, party: DeviceId) -> None:
        calm = self.world()
        calm.start_all()
        calm.run()
        for event in range(1, calm.lives[party].host.handled, 5):
            replay = self.world()
            replay.replayed = calm.plans
            world = self._crashed(replay, party, event)
            assert world is None or world.chain == calm.chain, event

    @staticmethod
    def _crashed(world: LiveWorld, party: DeviceId, event: int) -> LiveWorld | None:
        world.start_all()
        while world.lives[party].host.handled < event:
            if not world.clock.step() or COORDINATOR in world.halts:
                return None
        world.kill(party)
        world.clock.call_at(world.clock.now() + 0.3, lambda: world.start(party))
        world.run()
        return world

    def test_a_lost_link_resumes_a_probe(self) -> None:
        world = self.world()
        world.start_all()
        for at_s in (0.05, 0.4, 0.9):
            world.clock.call_at(at_s, lambda: world.lives[ONE].transport.interrupt(0.3))
        world.run()
        events = world.records.streams["events"]
        measured = [e["cut"] for e in events if e["event"] == "measured" and e["device"] == ONE]
        assert measured == [cut.name for cut in CUTS], "each cut once"


class TestFixed:
    def test_learns_what_it_always_learnt_and_measures_nothing(self) -> None:
        world = NullWorld(3, 3, cuts=("shallow", "middle", "deep"))
        world.start_all()
        world.run()
        assert world.chain.hex() == FIXED_CHAIN
        assert not [e for e in world.records.streams["events"] if e["event"] == "measured"]
        entry = world.records.streams["plans"][0]
        assert set(entry) == {"round", "planner", "assignments"}
        assert "predicted" not in entry["assignments"][0]


def _ends(world: LiveWorld) -> list[float]:
    """Returns when each round was over, with all that lay between them at the beginning."""
    lasted = [entry["duration_s"] for entry in world.records.streams["rounds"]]
    end_s = world.clock.now()
    return [end_s - sum(lasted[number:]) + lasted[number] for number in range(len(lasted))]
