"""Lines and pipes against arithmetic."""

from __future__ import annotations

import pytest

from runtime.transport.link_model import Line, Pipe, value_at


def test_a_message_takes_its_size_over_the_rate_and_the_delay() -> None:
    pipe = Pipe(Line(((0.0, 1000.0),), delay_s=0.25))
    assert pipe.carry(500, now=2.0) == pytest.approx(2.75)


def test_messages_queue_behind_each_other_and_not_behind_their_delay() -> None:
    pipe = Pipe(Line(((0.0, 1000.0),), delay_s=5.0))
    assert [pipe.carry(100, now=0.0) for _ in range(3)] == pytest.approx([5.1, 5.2, 5.3])


def test_without_a_rate_nothing_queues() -> None:
    pipe = Pipe(Line(delay_s=1.0))
    assert pipe.carry(10**9, now=3.0) == 4.0


def test_a_trace_changes_the_rate_in_the_middle_of_a_message() -> None:
    line = Line(((0.0, 100.0), (2.0, 50.0), (4.0, 200.0)))
    assert line.sent_at(1.0, 100.0) == pytest.approx(2.0)
    assert line.sent_at(1.0, 150.0) == pytest.approx(3.0)
    assert line.sent_at(1.0, 400.0) == pytest.approx(5.0)
    assert line.sent_at(10.0, 400.0) == pytest.approx(12.0)


def test_the_first_rate_of_a_trace_holds_before_it_too() -> None:
    assert Line(((5.0, 100.0), (6.0, 1.0))).sent_at(0.0, 100.0) == pytest.approx(1.0)


def test_jitter_and_loss_delay_and_keep_the_order() -> None:
    pipe = Pipe(Line(((0.0, 1e6),), delay_s=0.01, jitter_s=0.05, loss=0.02), seed="a")
    arrivals = [pipe.carry(14_600, now=0.0) for _ in range(500)]
    assert arrivals == sorted(arrivals)
    queueing = [0.0146 * (number + 1) for number in range(500)]
    late = [arrival - sent for arrival, sent in zip(arrivals, queueing, strict=True)]
    assert min(late) >= 0.01
    assert max(late) > 0.2


def test_the_share_of_repeated_messages_is_that_of_their_packets() -> None:
    pipe = Pipe(Line(loss=0.02), seed="b")
    late = [round(pipe.carry(14_600, now=float(at)) - at, 6) for at in range(2000)]
    assert set(late) == {0.0, 0.2}
    assert sum(one > 0 for one in late) / 2000 == pytest.approx(1 - 0.98**10, abs=0.03)


def test_the_seed_decides() -> None:
    line = Line(jitter_s=1.0)
    one, same, other = (Pipe(line, seed).carry(1, 0.0) for seed in ("x", "x", "y"))
    assert one == same != other


def test_a_cleared_pipe_is_free_at_once() -> None:
    pipe = Pipe(Line(((0.0, 1.0),)))
    pipe.carry(1000, now=0.0)
    pipe.clear(now=3.0)
    assert pipe.carry(1, now=3.0) == 4.0


@pytest.mark.parametrize("rates", [((1.0, 5.0), (1.0, 6.0)), ((0.0, 0.0),)])
def test_impossible_traces_are_refused(rates: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValueError, match="a trace needs"):
        Line(rates)


def test_values_hold_from_their_time_on() -> None:
    trace = ((1.0, 10.0), (2.0, 20.0))
    assert [value_at(trace, at, 5.0) for at in (0.0, 1.0, 1.9, 2.0, 9.0)] == [5, 10, 10, 20, 20]


def test_a_throttled_pipe_is_slower_from_the_next_message_on_and_never_faster() -> None:
    pipe = Pipe(Line(((0.0, 1000.0), (10.0, 100.0))))
    assert pipe.carry(1000, now=0.0) == pytest.approx(1.0)
    pipe.throttle(200.0, 1.0)
    assert pipe.carry(400, now=1.0) == pytest.approx(3.0)
    assert pipe.carry(200, now=12.0) == pytest.approx(14.0)
    pipe.throttle(None, 5.0)
    assert pipe.carry(200, now=20.0) == pytest.approx(30.0)
    pipe.throttle(None, 1.0)
    assert pipe.carry(200, now=30.0) == pytest.approx(32.0)


def test_a_line_without_a_rate_takes_the_cap() -> None:
    assert Line().held_to(50.0, 3.0).sent_at(0.0, 100.0) == pytest.approx(2.0)
