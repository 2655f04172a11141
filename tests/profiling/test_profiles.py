"""Profiles follow a board, its link and the server."""

from __future__ import annotations

import math

import pytest

from coordinator.profiling.device_profile import DeviceProfile
from coordinator.profiling.least import Least
from coordinator.profiling.server_profile import ServerProfile
from coordinator.profiling.time_model import Load, Timed
from coordinator.profiling.tracked import Tracked
from runtime.letters import DeviceReport, StepTimes
from runtime.link_meter import Reading
from runtime.rate_history import RateHistory

LOADS = {"shallow": Load(1e9, 1e6), "middle": Load(3e9, 2e6), "deep": Load(9e9, 3e6)}


def report(total_s: float, downlink: float = 0.0) -> DeviceReport:
    return DeviceReport(
        forward_s=total_s / 3, backward_s=total_s * 2 / 3, downlink_bytes_per_s=downlink
    )


def probed() -> DeviceProfile:
    """A board of 1e9 operations a second."""
    profile = DeviceProfile()
    for cut in ("shallow", "deep"):
        load = LOADS[cut]
        profile = profile.with_probe(
            cut, load, report(load.operations / 1e9, 5e5), Reading(1e5, 0.02), 1.0
        )
    return profile


class TestTracked:
    def test_averages_what_wavers_and_believes_a_jump(self) -> None:
        tracked = Tracked()
        for sample in (1.0, 1.1, 0.9, 1.0):
            tracked = tracked.updated(sample, 1.0)
        assert tracked.value == pytest.approx(1.0, rel=0.05)
        assert tracked.samples == 4
        jumped = tracked.updated(4.0, 2.0)
        assert (jumped.value, jumped.samples, jumped.at_s) == (4.0, 1, 2.0)
        assert jumped.confidence < tracked.confidence

    @pytest.mark.parametrize("nothing", [0.0, -1.0, math.inf, math.nan])
    def test_what_is_no_measurement_changes_nothing(self, nothing: float) -> None:
        tracked = Tracked().updated(2.0, 1.0)
        assert tracked.updated(nothing, 5.0) == tracked

    def test_ages(self) -> None:
        assert Tracked().age_s(3.0) == math.inf
        assert Tracked().updated(1.0, 2.0).age_s(5.0) == 3.0


class TestDevice:
    def test_probes_foretell_cuts_between_them(self) -> None:
        times = probed().step_times(LOADS)
        assert times["middle"].total_s == pytest.approx(3.0)
        assert times["middle"].forward_s == pytest.approx(1.0)

    def test_without_probes_there_are_no_times(self) -> None:
        assert DeviceProfile().with_refusal("shallow", "too big").step_times(LOADS) == {}

    def test_real_steps_scale_all_cuts_within_a_round(self) -> None:
        slowed = probed().updated(LOADS["middle"], report(12.0), Reading(), 2.0)
        assert slowed.step_times(LOADS)["deep"].total_s == pytest.approx(36.0)

    def test_links_are_tracked_and_silence_tells_nothing(self) -> None:
        profile = probed()
        assert (profile.uplink.value, profile.downlink.value) == (1e5, 5e5)
        later = profile.updated(LOADS["deep"], report(9.0), Reading(2e4), 3.0)
        assert (later.uplink.value, later.downlink.value) == (2e4, 5e5)
        assert later.round_trip.value == 0.02
        assert later.downlink.age_s(3.0) == 2.0

    def test_real_transfers_are_tracked_for_the_cut_in_use(self) -> None:
        profile = probed().exchanged("middle", 3.5, report(3.0), 2.0)
        assert (profile.transfers_at, profile.transfers.value) == ("middle", 0.5)
        moved = profile.exchanged("deep", 9.2, report(9.0), 3.0)
        assert moved.transfers.value == pytest.approx(0.2)
        assert moved.exchanged("deep", 0.0, report(9.0), 4.0).transfers == moved.transfers

    def test_a_board_that_tells_only_whole_steps_is_understood(self) -> None:
        whole = DeviceReport(step=StepTimes(3.0, 3.0, 3.0))
        profile = DeviceProfile().with_probe("shallow", LOADS["shallow"], whole, Reading(), 1.0)
        time = profile.probed["shallow"].time
        assert (time.forward_s, time.backward_s) == pytest.approx((1.0, 2.0))


class TestServer:
    def test_is_foretold_by_probes_and_scaled_by_real_steps(self) -> None:
        server = ServerProfile().with_probe(LOADS["deep"], 0.9).with_probe(LOADS["shallow"], 0.1)
        assert server.step_s(LOADS["middle"]) == pytest.approx(0.3)
        busy = server.updated([Timed(LOADS["middle"], 0.6)], 1.0)
        assert busy.step_s(LOADS["deep"]) == pytest.approx(1.8)

    def test_first_real_step_stands_in_for_a_probe_that_failed(self) -> None:
        server = ServerProfile().with_probe(LOADS["deep"], 0.0)
        assert server.step_s(LOADS["deep"]) == 0.0
        assert server.updated([Timed(LOADS["deep"], 0.9)], 1.0).step_s(
            LOADS["deep"]
        ) == pytest.approx(0.9)


class TestRateHistory:
    def test_is_little_moved_by_bursts_and_by_sharing(self) -> None:
        history = RateHistory()
        for rate in (50.0, 100.0, 100.0, 100.0, 40.0, 100.0, 900.0):
            history = history.seen(rate)
        assert history.bytes_per_s == 100.0

    def test_knows_nothing_at_first_and_forgets(self) -> None:
        assert RateHistory().seen(0.0).bytes_per_s == 0.0
        history = RateHistory()
        for rate in (9.0,) * 100 + (1.0,) * 32:
            history = history.seen(rate)
        assert history.bytes_per_s == 1.0


class TestDoubt:
    def test_a_link_that_looks_faster_once_is_not_believed(self) -> None:
        tracked = Tracked(1e5, 5, 1.0).risen(2.5e5, 2.0)
        assert tracked.value == 1e5
        assert tracked.risen(1e5, 3.0).risen(2.5e5, 4.0).value == 1e5

    def test_a_link_that_looks_faster_twice_is(self) -> None:
        tracked = Tracked(1e5, 5, 1.0).risen(2.5e5, 2.0).risen(2.4e5, 3.0)
        assert tracked.value == 2.4e5

    def test_a_link_that_looks_slower_is_believed_at_once(self) -> None:
        assert Tracked(1e5, 5, 1.0).risen(2e4, 2.0).value == 2e4


class TestLeast:
    def test_others_in_the_way_make_a_trip_no_longer(self) -> None:
        trips = Least().updated(0.02).updated(0.4).updated(0.03)
        assert trips.value == 0.02

    def test_a_way_that_grew_longer_shows_after_some_rounds(self) -> None:
        trips = Least().updated(0.02)
        for _ in range(6):
            trips = trips.updated(0.3)
        assert trips.value == 0.3

    def test_nothing_is_learnt_from_nothing(self) -> None:
        assert Least().updated(0.0).updated(float("inf")).value == 0.0
