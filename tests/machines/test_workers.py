"""Workers keep lanes in order and tell of each task once; executors raise only what is ours."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from attrs import evolve, field, frozen

from coordinator.null import NullExecutor as NullCoordinator
from coordinator.plan import Assignment
from coordinator.tasks import Collect, Prepare, Prepared, Served, ServeStep
from device_agent.null import NullExecutor as NullDevice
from device_agent.tasks import Begin, FindProgram, Finish, Forward, StoreProgram, Trained
from runtime.chain import wrap
from runtime.errors import ProgramError
from runtime.events import Failed, Finished
from runtime.executor import Executor, ThreadWorker, attempt
from runtime.exits import Exit
from runtime.ids import DeviceId
from runtime.letters import AttemptKey
from runtime.virtual import VirtualClock, VirtualWorker
from tests.machines.test_agent import order

BOARD = DeviceId("board-1")
KEY = AttemptKey(1, 1)


@frozen
class Job:
    """A task that runs a function."""

    lane: str
    number: int
    work: Callable[[], Any] = field(default=lambda: None, eq=False)


class Jobs:
    """Runs the function of a job; remembers which ran at the same time in one lane."""

    def __init__(self) -> None:
        self.busy: set[str] = set()
        self.collisions = 0

    def modelled_s(self, task: Any) -> float:
        return 1.0

    def run(self, task: Job) -> Any:
        self.collisions += task.lane in self.busy
        self.busy.add(task.lane)
        try:
            return task.work()
        finally:
            self.busy.discard(task.lane)


def no_defect(defect: BaseException) -> None:
    """Ends the worker's lane, so that what the test waits for never comes."""
    raise AssertionError from defect


class TestThreadWorker:
    def test_lanes_are_in_order_each_task_is_told_once(self) -> None:
        jobs, told, all_told = Jobs(), list[Any](), threading.Event()

        def tell(event: Finished | Failed) -> None:
            told.append(event.task)
            if len(told) == 400:
                all_told.set()

        worker = ThreadWorker(jobs, tell, no_defect, threads=3)
        for number in range(100):
            for lane in "abcd":
                worker.submit(Job(lane, number))
        assert all_told.wait(20.0)
        worker.stop()
        for lane in "abcd":
            assert [task.number for task in told if task.lane == lane] == list(range(100))
        assert jobs.collisions == 0

    def test_lanes_do_not_wait_for_each_other(self) -> None:
        gate, done = threading.Event(), threading.Event()
        worker = ThreadWorker(Jobs(), lambda _: None, no_defect, threads=2)
        worker.submit(Job("slow", 1, lambda: gate.wait(20.0)))
        worker.submit(Job("quick", 1, done.set))
        assert done.wait(20.0)
        gate.set()
        worker.stop()

    def test_our_errors_are_told_with_reason_and_code(self) -> None:
        told, has_told = list[Any](), threading.Event()

        def refuse() -> None:
            raise ProgramError("does not fit")

        def tell(event: Finished | Failed) -> None:
            told.append(event)
            has_told.set()

        worker = ThreadWorker(Jobs(), tell, no_defect)
        job = Job("a", 1, refuse)
        worker.submit(job)
        assert has_told.wait(20.0)
        worker.stop()
        assert told == [Failed(job, "does not fit", Exit.MODEL)]

    def test_a_defect_reaches_on_defect_and_the_lane_goes_on(self) -> None:
        defects, done = list[BaseException](), threading.Event()
        worker = ThreadWorker(Jobs(), lambda _: None, defects.append)
        worker.submit(Job("a", 1, lambda: 1 // 0))
        worker.submit(Job("a", 2, done.set))
        assert done.wait(20.0)
        worker.stop()
        assert [type(defect) for defect in defects] == [ZeroDivisionError]

    def test_a_defect_of_whoever_is_told_reaches_on_defect(self) -> None:
        defects, seen = list[BaseException](), threading.Event()

        def on_defect(defect: BaseException) -> None:
            defects.append(defect)
            seen.set()

        worker = ThreadWorker(Jobs(), lambda _: [][0], on_defect)
        worker.submit(Job("a", 1))
        assert seen.wait(20.0)
        worker.stop()
        assert [type(defect) for defect in defects] == [IndexError]

    def test_stopping_waits_for_what_runs_and_abandons_the_rest(self) -> None:
        began, ran = threading.Event(), list[int]()

        def first() -> None:
            began.set()
            stopping.wait(20.0)
            ran.append(1)

        stopping = threading.Event()
        worker = ThreadWorker(Jobs(), lambda _: None, no_defect)
        worker.submit(Job("a", 1, first))
        worker.submit(Job("a", 2, lambda: ran.append(2)))
        assert began.wait(20.0)
        threading.Timer(0.05, stopping.set).start()
        worker.stop()
        assert ran == [1]


class TestVirtualWorker:
    def test_takes_modelled_time_in_as_many_places_as_it_has_threads(self) -> None:
        clock, told = VirtualClock(), list[tuple[float, int]]()
        worker = VirtualWorker(
            Jobs(), clock, lambda event: told.append((clock.now(), event.task.number)), threads=2
        )
        for lane, number in [("a", 1), ("a", 2), ("b", 3), ("c", 4)]:
            worker.submit(Job(lane, number))
        while clock.step():
            pass
        assert {number: at for at, number in told}[2] >= 2.0, "after the first of its lane"
        assert [number for _, number in sorted(told) if number in (1, 2)] == [1, 2]
        assert max(at for at, _ in told) <= 3.0

    def test_tells_nothing_once_stopped(self) -> None:
        clock, told = VirtualClock(), list[Any]()
        worker = VirtualWorker(Jobs(), clock, told.append)
        worker.submit(Job("a", 1))
        worker.stop()
        while clock.step():
            pass
        assert told == []


class Contract:
    """What a party may rely on, whichever executor its tasks run on."""

    def executor(self) -> Executor:
        raise NotImplementedError

    good: tuple[tuple[Any, type[Any]], ...]

    def test_results_are_what_the_machine_expects(self) -> None:
        executor = self.executor()
        for task, expected in self.good:
            event = attempt(executor, task)
            assert isinstance(event, Finished)
            assert isinstance(event.result, expected)

    def test_the_same_tasks_give_the_same_results(self) -> None:
        runs = [[attempt(one, task) for task, _ in self.good]
                for one in (self.executor(), self.executor())]  # fmt: skip
        assert runs[0] == runs[1]

    def test_modelled_times_are_not_negative(self) -> None:
        assert all(self.executor().modelled_s(task) >= 0.0 for task, _ in self.good)

    def test_every_task_names_its_lane(self) -> None:
        assert all(isinstance(task.lane, str) for task, _ in self.good)


class TestNullDevice(Contract):
    good = (
        (FindProgram("digest"), bool),
        (Begin(evolve(order(), tensors=wrap(bytes(32)))), type(None)),
        (Forward(KEY, 0, 0), dict),
        (Finish(KEY), Trained),
    )

    def executor(self) -> Executor:
        return NullDevice(BOARD, 10, {})

    def test_what_cannot_be_run_fails_with_a_sentence(self) -> None:
        event = attempt(self.executor(), StoreProgram("digest", b"another program"))
        assert event == Failed(event.task, "the program is not digest", Exit.MODEL)


class TestNullCoordinator(Contract):
    good = (
        (Prepare(Assignment(BOARD, "middle", "fp32", "fp32", 4), KEY), Prepared),
        (ServeStep(BOARD, KEY, 0, 0, wrap(bytes(32))), Served),
        (Collect(BOARD, KEY, 4, wrap(bytes(32))), type(None)),
    )

    def executor(self) -> Executor:
        return NullCoordinator({})
