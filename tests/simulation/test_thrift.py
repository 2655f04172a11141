"""A thousand boards share the bytes of what they are all sent."""

from __future__ import annotations

import tracemalloc

from attrs import evolve

from coordinator.simulation.payloads import Payloads
from coordinator.simulation.thrift import Shelf
from tests.simulation.stages import JOB, TRACED, board, perform, weight_of


def test_equal_bytes_are_one_object() -> None:
    shelf = Shelf()
    first, second = bytes(20_000), bytes(bytearray(20_000))
    assert first is not second
    assert shelf.same(first) is first
    assert shelf.same(second) is first


def test_what_nobody_asks_for_is_forgotten() -> None:
    shelf = Shelf()
    first = bytes(9_000)
    shelf.same(first)
    for number in range(1_000):
        shelf.same(number.to_bytes(2, "little") + bytes(9_000))
    again = bytes(9_000)
    assert shelf.same(again) is again


def test_a_crowd_holds_one_copy_of_the_layer_state() -> None:
    """Each board's 188 KB are on their way at the same time; without thrift they lie in
    outboxes, inboxes and orders as well.
    """
    job = evolve(JOB, job=evolve(JOB.training, rounds=1, local_steps=1))
    crowd = [board(f"b{number}", "flatten", up=10, down=10) for number in range(40)]
    state = weight_of(Payloads(job, TRACED).state("flatten"))
    perform(crowd[:1], job=job)
    tracemalloc.start()
    perform(crowd, job=job)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 2 * 40 * state
