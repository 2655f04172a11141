"""What both clocks promise: order, time that never goes back, posts from any thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from runtime.clock import Clock, WallClock
from runtime.virtual import VirtualClock

Run = Callable[[Clock], None]


def run_wall(clock: Clock) -> None:
    assert isinstance(clock, WallClock)
    clock.call_at(clock.now() + 0.1, clock.stop)
    clock.run()


def run_virtual(clock: Clock) -> None:
    assert isinstance(clock, VirtualClock)
    while clock.step():
        pass


@pytest.mark.parametrize(("make", "run"), [(WallClock, run_wall), (VirtualClock, run_virtual)])
class TestContract:
    def test_posted_actions_run_in_order_and_never_inside_post(
        self, make: Callable[[], Clock], run: Run
    ) -> None:
        clock, ran = make(), list[int]()

        def nest() -> None:
            clock.post(lambda: ran.append(99))
            ran.append(-1)

        for number in range(5):
            clock.post(lambda n=number: ran.append(n))  # type: ignore[misc]
        clock.post(nest)
        assert ran == []
        run(clock)
        assert ran == [0, 1, 2, 3, 4, -1, 99]

    def test_timers_run_in_order_of_time_then_of_arrival(
        self, make: Callable[[], Clock], run: Run
    ) -> None:
        clock, ran = make(), list[str]()
        start = clock.now()
        for name, after_s in [("c", 0.02), ("a", 0.01), ("d", 0.02), ("b", 0.01), ("past", -1.0)]:
            clock.call_at(start + after_s, lambda n=name: ran.append(n))  # type: ignore[misc]
        run(clock)
        assert ran == ["past", "a", "b", "c", "d"]

    def test_no_timer_runs_early_and_time_never_goes_back(
        self, make: Callable[[], Clock], run: Run
    ) -> None:
        clock, times = make(), list[float]()
        start = clock.now()
        for after_s in (0.03, 0.0, 0.01):
            clock.call_at(start + after_s, lambda: times.append(clock.now() - start))
        run(clock)
        assert times == sorted(times)
        assert all(at >= due - 1e-9 for at, due in zip(times, (0.0, 0.01, 0.03), strict=True))

    def test_a_timer_may_set_the_next(self, make: Callable[[], Clock], run: Run) -> None:
        clock, left = make(), [5]

        def again() -> None:
            left[0] -= 1
            if left[0]:
                clock.call_at(clock.now() + 0.001, again)

        clock.post(again)
        run(clock)
        assert left == [0]


class TestWallClock:
    def test_posts_from_threads_all_arrive_each_in_its_order(self) -> None:
        clock, ran = WallClock(), list[tuple[int, int]]()
        loop = set[int]()

        def post(thread: int) -> None:
            def note(number: int) -> None:
                ran.append((thread, number))
                loop.add(threading.get_ident())

            for number in range(200):
                clock.post(partial(note, number))

        threads = [threading.Thread(target=post, args=(index,)) for index in range(4)]

        def join() -> None:
            for thread in threads:
                thread.join()
            clock.stop()

        for thread in (*threads, threading.Thread(target=join)):
            thread.start()
        clock.run()
        assert len(ran) == 800
        for index in range(4):
            assert [n for thread, n in ran if thread == index] == list(range(200))
        assert loop == {threading.get_ident()}

    def test_a_post_wakes_a_loop_that_waits_for_a_far_timer(self) -> None:
        clock = WallClock()
        clock.call_at(clock.now() + 3600.0, lambda: None)
        threading.Timer(0.05, clock.stop).start()
        began_s = time.monotonic()
        clock.run()
        assert time.monotonic() - began_s < 30.0

    def test_posts_are_not_starved_by_timers_that_are_always_due(self) -> None:
        clock = WallClock()

        def busy() -> None:
            clock.call_at(clock.now(), busy)

        clock.post(busy)
        threading.Timer(0.05, clock.stop).start()
        clock.run()
