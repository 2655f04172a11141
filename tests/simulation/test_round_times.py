"""Simulated rounds against reckoning by hand."""

from __future__ import annotations

import pytest
from attrs import evolve

from coordinator.fleet import Device
from coordinator.plan import Assignment
from coordinator.simulation.conditions import (
    BoardConditions,
    Conditions,
    Outage,
    RateFrom,
    Shared,
    SlowFrom,
)
from coordinator.simulation.costs import Costs
from coordinator.simulation.payloads import Payloads
from runtime.ids import DeviceId
from tests.simulation.stages import (
    JOB,
    SERVER_GFLOPS,
    TRACED,
    board,
    fleet,
    peculiar,
    perform,
    weight_of,
)

_BYTES_PER_MEGABIT = 125_000
STEPS = JOB.training.local_steps
BATCH = JOB.training.batch


def reckoned_s(device: Device) -> float:
    """A round of a device alone: state down, then steps, then state up; nothing overlaps."""
    cut = device.cut_at(1)
    up = (device.emulate.uplink_mbps or 0) * _BYTES_PER_MEGABIT
    down = (device.emulate.downlink_mbps or 0) * _BYTES_PER_MEGABIT
    payloads = Payloads(JOB, TRACED)
    state = weight_of(payloads.state(cut))
    smashed = weight_of(payloads.smashed(cut, "fp32", BATCH))
    gradient = weight_of(payloads.gradient(cut, "fp32", BATCH))
    step_s = device.emulate.step_s or 0
    serve_s = serve_of(cut)
    return state / down + STEPS * (step_s + smashed / up + serve_s + gradient / down) + state / up


def serve_of(cut: str) -> float:
    assignment = Assignment(DeviceId("any"), cut, "fp32", "fp32", BATCH)
    return Costs(TRACED, SERVER_GFLOPS).serve_s(assignment)


class TestByHand:
    def test_two_boards_take_what_the_slower_one_takes(self) -> None:
        fast = board("fast", "block3", up=40, down=40, step_s=0.02)
        slow = board("slow", "block2", up=8, down=16, step_s=0.1)
        done = perform([fast, slow])
        assert done.duration_s() == pytest.approx(reckoned_s(slow), rel=0.03)
        assert done.term("fast", "duration_s") == pytest.approx(reckoned_s(fast), rel=0.05)

    def test_the_terms_add_up(self) -> None:
        device = board("one", up=8, down=16)
        done = perform([device])
        assert done.term("one", "compute_s") == pytest.approx(STEPS * 0.05)
        assert done.term("one", "server_s") == pytest.approx(STEPS * serve_of("block2"))
        assert done.term("one", "queue_s") == pytest.approx(0.0, abs=1e-9)
        terms = sum(
            done.term("one", name) for name in ("compute_s", "server_s", "queue_s", "link_s")
        )
        assert terms == pytest.approx(done.duration_s())
        assert done.rounds[1]["devices"]["one"]["step"]["p50_s"] == pytest.approx(0.05)

    @pytest.mark.parametrize(("up", "down"), [(4, 20), (20, 4), (2, 2)])
    def test_a_slower_link_costs_what_it_should(self, up: float, down: float) -> None:
        usual, slower = board("one"), board("one", up=up, down=down)
        longer_s = perform([slower]).duration_s() - perform([usual]).duration_s()
        assert longer_s == pytest.approx(reckoned_s(slower) - reckoned_s(usual), rel=0.03)

    def test_a_busy_server_is_a_queue(self) -> None:
        job = evolve(JOB, codec=evolve(JOB.codec, up="int8", down="int8"))
        crowd = [board(f"b{i}", "block1", up=1000, down=1000, step_s=0.001) for i in range(6)]
        done = perform(crowd, job=job)
        work_s = 6 * STEPS * serve_of("block1")
        assert done.duration_s() == pytest.approx(work_s, rel=0.06)
        assert done.term("b3", "queue_s") > 3 * done.term("b3", "server_s")
        halved = evolve(job, server=evolve(job.server, workers=2))
        assert perform(crowd, job=halved).duration_s() == pytest.approx(work_s / 2, rel=0.1)


class TestConditions:
    def test_delay_only_shifts(self) -> None:
        """A letter over 8 KiB crosses three times: offer, grant, chunks."""
        device = board("one", up=8, down=8)
        calm = perform([device]).duration_s()
        late = perform([device], conditions=peculiar("one", delay_ms=10)).duration_s()
        letters = 2 * STEPS + 2
        assert late - calm == pytest.approx(letters * 3 * 0.010, rel=0.35)

    def test_the_shared_links_delay_counts_too(self) -> None:
        device = board("one", up=8, down=8)
        own = perform([device], conditions=peculiar("one", delay_ms=10))
        shared = perform([device], conditions=Conditions(Shared(delay_ms=10)))
        assert shared.duration_s() == pytest.approx(own.duration_s(), rel=0.02)

    def test_jitter_and_loss_make_rounds_longer_and_never_shorter(self) -> None:
        device = board("one", up=8, down=8)
        calm = perform([device]).duration_s()
        for what in ({"jitter_ms": 20}, {"loss": 0.01}):
            assert perform([device], conditions=peculiar("one", **what)).duration_s() > calm * 1.02

    def test_an_outage_lasts(self) -> None:
        device = board("one", up=8, down=8)
        calm = perform([device])
        middle_s = calm.duration_s(1) + calm.duration_s() / 2
        cut = perform([device], conditions=peculiar("one", outages=(Outage(middle_s, 5.0),)))
        assert cut.duration_s(1) == pytest.approx(calm.duration_s(1))
        longer_s = cut.duration_s() - calm.duration_s()
        assert 4.0 < longer_s < 8.0

    def test_the_coordinators_own_outage_is_felt_by_all(self) -> None:
        devices = [board("one", up=8, down=8), board("two", up=8, down=8)]
        calm = perform(devices)
        middle_s = calm.duration_s(1) + calm.duration_s() / 2
        cut = perform(devices, conditions=Conditions(Shared(outages=(Outage(middle_s, 5.0),))))
        for name in ("one", "two"):
            longer_s = cut.term(name, "duration_s") - calm.term(name, "duration_s")
            assert 4.0 < longer_s < 8.0
        assert [one["event"] for one in cut.events].count("link down") == 1

    def test_a_rate_drops_and_comes_back(self) -> None:
        """Until the drop and after it the round is the usual one."""
        device = board("one", up=8, down=16)
        job = evolve(JOB, job=evolve(JOB.training, rounds=4))
        calm = perform([device], job=job)
        second_s = calm.duration_s(1)
        drop = (RateFrom(second_s, 2.0), RateFrom(second_s + 10.0, 8.0))
        dropped = perform([device], job=job, conditions=peculiar("one", uplink=drop))
        assert dropped.duration_s(1) == pytest.approx(calm.duration_s(1), rel=0.02)
        assert dropped.duration_s(2) > 1.3 * calm.duration_s(2)
        assert dropped.duration_s(4) == pytest.approx(calm.duration_s(4), rel=0.02)
        slow = perform([board("one", up=2, down=16)], job=job)
        assert dropped.duration_s(2) < slow.duration_s(2)

    def test_a_board_slows_down_for_good(self) -> None:
        device = board("one")
        calm = perform([device])
        hot = peculiar("one", compute=(SlowFrom(calm.duration_s(1), 4.0),))
        slow = perform([device], conditions=hot)
        assert slow.term("one", "compute_s", 1) == pytest.approx(STEPS * 0.05)
        assert slow.term("one", "compute_s", 2) == pytest.approx(STEPS * 0.2)
        assert slow.duration_s() - calm.duration_s() == pytest.approx(STEPS * 0.15, rel=0.02)


class TestSharedLink:
    def test_a_budget_bounds_what_all_send(self) -> None:
        devices = [board(f"b{i}", up=100, down=100, step_s=0.001) for i in range(4)]
        done = perform(devices, conditions=Conditions(Shared(uplink_mbps=8, downlink_mbps=80)))
        payloads = Payloads(JOB, TRACED)
        up = STEPS * weight_of(payloads.smashed("block2", "fp32", BATCH))
        up += weight_of(payloads.state("block2"))
        least_s = 4 * up / (8 * _BYTES_PER_MEGABIT)
        assert least_s < done.duration_s() < 1.2 * least_s

    def test_an_idle_share_is_lent(self) -> None:
        """Alone on the budget a board is as fast as with a link of its own of that rate."""
        conditions = Conditions(Shared(uplink_mbps=8, downlink_mbps=8))
        busy, idle = board("busy", up=100, down=100), board("idle", "flatten", up=100, down=100)
        quick = evolve(idle, emulate=evolve(idle.emulate, step_s=30.0))
        done = perform([busy, quick], conditions=conditions)
        alone = reckoned_s(board("busy", up=8, down=8))
        assert done.term("busy", "duration_s") == pytest.approx(alone, rel=0.08)

    def test_backlogged_boards_divide_it_by_weight(self) -> None:
        """Letters of seconds: both send for as long as the favoured one is not done."""
        job = evolve(JOB, job=evolve(JOB.training, batch=512, local_steps=2))
        devices = [board(name, up=100, down=100, step_s=0.0001) for name in ("a", "b")]
        conditions = Conditions(Shared(uplink_mbps=4, downlink_mbps=400))
        even = perform(devices, job=job, conditions=conditions)
        uneven = perform(devices, job=job, conditions=conditions, weights={"a": 3.0, "b": 1.0})
        assert even.term("a", "duration_s") == pytest.approx(even.term("b", "duration_s"), rel=0.05)
        # At three quarters of the link instead of half of it.
        faster = even.term("a", "duration_s") / uneven.term("a", "duration_s")
        assert faster == pytest.approx(1.5, rel=0.1)
        assert uneven.duration_s() == pytest.approx(even.duration_s(), rel=0.05)


def test_programs_are_sent_once() -> None:
    done = perform([board("one")])
    first, second = (one["devices"]["one"]["down_bytes"] for one in done.rounds)
    program = Payloads(JOB, TRACED).program(
        Assignment(DeviceId("one"), "block2", "fp32", "fp32", BATCH)
    )
    assert first - (second - first) == pytest.approx(len(program), rel=0.25)


def test_boards_of_the_conditions_belong_to_the_fleet() -> None:
    conditions = Conditions(board=(BoardConditions("one"), BoardConditions("oen")))
    (problem,) = conditions.strangers("c.toml", fleet(board("one")))
    assert (problem.key, problem.message) == ("board[1].id", "fleet stage has no 'oen'")
