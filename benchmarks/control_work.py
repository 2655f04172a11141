"""What a round costs the coordinator beside learning, for fleets of up to 1,000 boards.

A simulated fleet exchanges the letters of a small CNN: in each of ten local steps a board sends
50 KB of int8 activations and gets as much of gradients, and once a round its layer state goes
both ways. Only the coordinator's party and its record are on the clock (CPU time of the thread):
boards, broker, links, executors and the virtual clock are not. SHA-256 and CRC-32 of payloads,
and msgpack's copying of messages above 8 KiB, are the data plane: a column of their own.

    python -m benchmarks.control_work [--boards 100 300 1000] [--profile]
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import hashlib
import pstats
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import msgpack
import numpy as np
from attrs import define, evolve, field, frozen

from coordinator.job import CodecLimits, Job
from coordinator.record.run_record import RunRecord
from coordinator.simulation.casts import Modelled, StandIns
from coordinator.simulation.conditions import Conditions
from coordinator.simulation.costs import Costs
from coordinator.simulation.ledger import Ledger
from coordinator.simulation.payloads import Payloads
from coordinator.simulation.simulation import SimulatedRecords, fixed_planner
from coordinator.simulation.thrift import Shelf
from coordinator.simulation.world import SimulatedWorld
from runtime import wire
from runtime.ids import COORDINATOR, DeviceId
from runtime.topics import INLINE_LIMIT_BYTES
from runtime.transfers import inbox, outbox
from runtime.virtual import VirtualClock
from tests.simulation.stages import JOB, SERVER_GFLOPS, TRACED, board, fleet

BOARDS = (100, 300, 1000)
ROUNDS = 4
CUT = "block2"

CONTROL, PAYLOAD, ELSEWHERE = "control", "payload", "elsewhere"
Spent = dict[str, float]


@define
class Meter:
    """Books CPU seconds: what is measured inside another account is not on that one as well."""

    profile: cProfile.Profile | None = None
    events: int = 0
    _spent_s: Spent = field(factory=lambda: dict.fromkeys((CONTROL, PAYLOAD, ELSEWHERE), 0.0))
    _accounts: list[str] = field(factory=lambda: [ELSEWHERE])
    _since_s: float = field(factory=time.thread_time)
    _own_s: float = 0.0
    """What it costs to book once: half a microsecond for the clock alone, 37 times a step."""

    def __attrs_post_init__(self) -> None:
        bookings = 20_000
        began_s = time.thread_time()
        for _ in range(bookings):
            self._book()
        self._own_s = (time.thread_time() - began_s) / bookings
        self._spent_s[ELSEWHERE] = 0.0

    def spent(self) -> Spent:
        """Returns the seconds on every account so far."""
        self._book()
        return {**self._spent_s, "events": self.events}

    def coordinators(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        """Returns `inner` with its time booked as control work."""
        booked = self._on(CONTROL, inner)

        def metered(*args: Any, **kwargs: Any) -> Any:
            self.events += 1
            if self.profile:
                with self.profile:
                    return inner(*args, **kwargs)
            return booked(*args, **kwargs)

        return metered

    def within(self, account: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        """Returns `inner` on another account, where it is called by what is metered."""
        booked = self._on(account, inner)

        def metered(*args: Any, **kwargs: Any) -> Any:
            called = inner if len(self._accounts) == 1 else booked
            return called(*args, **kwargs)

        return metered

    def copying(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        """Returns `inner`, msgpack's work in one direction, as payload where it is much."""

        def metered(data: Any, **options: Any) -> Any:
            # Looking at the clock takes longer than to pack or unpack a small message.
            if len(self._accounts) == 1 or not _may_be_large(data):
                return inner(data, **options)
            self._book()
            result = inner(data, **options)
            message = data if isinstance(data, bytes) else result
            self._accounts.append(PAYLOAD if len(message) > INLINE_LIMIT_BYTES else CONTROL)
            self._book()
            self._accounts.pop()
            return result

        return metered

    def _on(self, account: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        def booked(*args: Any, **kwargs: Any) -> Any:
            self._book()
            self._accounts.append(account)
            try:
                return inner(*args, **kwargs)
            finally:
                self._book()
                self._accounts.pop()

        return booked

    def _book(self) -> None:
        now = time.thread_time()
        self._spent_s[self._accounts[-1]] += now - self._since_s - self._own_s
        self._since_s = now


def _may_be_large(data: Any) -> bool:
    """Tells whether a message, packed or not, may be above 8 KiB; of our frames, whether it is."""
    if isinstance(data, bytes):
        return len(data) > INLINE_LIMIT_BYTES
    content = data.get("data") or data.get("body") or b""
    return "tensors" in data or len(content) > INLINE_LIMIT_BYTES


class MeteredWorld(SimulatedWorld):
    """A simulated world whose coordinator is on a meter."""

    meter: Meter

    def _launch(self, party: Any, name: DeviceId, *rest: Any) -> None:
        if name == COORDINATOR:
            party.handle = self.meter.coordinators(party.handle)
        super()._launch(party, name, *rest)


@frozen
class Laps:
    """Records, and notes what was spent when each round closed."""

    inner: Any
    meter: Meter
    spent: list[Spent] = field(factory=list)

    def append(self, stream: str, entry: dict[str, Any]) -> None:
        self.inner.append(stream, entry)
        if stream == "rounds":
            self.spent.append(self.meter.spent())


def measure(boards: int, profile: cProfile.Profile | None = None) -> list[Spent]:
    """Returns what each round of a fleet spent."""
    job = evolve(JOB, job=evolve(JOB.training, rounds=ROUNDS), codec=CodecLimits("int8", "int8"))
    meter = Meter(profile)
    with tempfile.TemporaryDirectory() as folder, _metered_payloads(meter):
        record = RunRecord.begin(Path(folder) / "run")
        laps = Laps(record, meter)
        _run(job, boards, laps, meter)
        record.close()
    before = [dict.fromkeys(laps.spent[0], 0.0), *laps.spent]
    return [
        {account: one[account] - earlier[account] for account in one}
        for earlier, one in zip(before, laps.spent, strict=False)
    ]


def _run(job: Job, boards: int, laps: Laps, meter: Meter) -> None:
    rng = np.random.default_rng(0)
    crowd = fleet(
        *(
            board(f"b{number:04}", CUT, up=rng.uniform(10, 40), down=rng.uniform(10, 40),
                  step_s=rng.uniform(0.02, 0.2))
            for number in range(boards)
        )
    )  # fmt: skip
    gc.freeze()  # as the coordinator's process does
    clock, ledger, conditions = VirtualClock(), Ledger(), Conditions()
    cast = StandIns(job, Payloads(job, TRACED))
    records = SimulatedRecords(laps, ledger, clock)
    records_append = meter.coordinators(records.append)
    MeteredWorld.meter = meter
    MeteredWorld(
        job,
        crowd,
        fixed_planner(job, crowd),
        Modelled(cast, Costs(TRACED, SERVER_GFLOPS), clock, ledger, conditions),
        clock=clock,
        records=SimpleNamespace(append=records_append),
        run="control-work",
        conditions=conditions,
    ).run()


@contextmanager
def _metered_payloads(meter: Meter) -> Iterator[None]:
    """Takes sums and copies of payloads, and what only a simulation does, off the account."""
    sums = SimpleNamespace(sha256=meter.within(PAYLOAD, hashlib.sha256))
    checks = SimpleNamespace(crc32=meter.within(PAYLOAD, zlib.crc32))
    packing = SimpleNamespace(
        packb=meter.copying(msgpack.packb), unpackb=meter.copying(msgpack.unpackb)
    )
    shared = meter.within(ELSEWHERE, Shelf.same)
    with (
        patch.object(inbox, "hashlib", sums),
        patch.object(outbox, "hashlib", sums),
        patch.object(inbox, "zlib", checks),
        patch.object(outbox, "zlib", checks),
        patch.object(wire, "msgpack", packing),
        patch.object(Shelf, "same", lambda self, data: shared(self, data)),
    ):
        yield


def main(arguments: list[str] | None = None) -> None:
    """Prints a row for every size of fleet, and how the seconds grow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boards", type=int, nargs="+", default=BOARDS)
    parser.add_argument("--profile", action="store_true", help="show where the time goes instead")
    options = parser.parse_args(arguments)
    if options.profile:
        profile = cProfile.Profile(time.thread_time)
        measure(options.boards[-1], profile)
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
        return
    print("| boards | round | control s | us a board's step | payload s | all else s | events |")
    print("|---|---|---|---|---|---|---|")
    steady = [_tell(boards, measure(boards)) for boards in options.boards]
    if len(steady) > 1:
        print(
            f"\nLater rounds take boards to the power of {_exponent(options.boards, steady):.2f}."
        )


def _tell(boards: int, rounds: Sequence[Spent]) -> float:
    """Prints the first round, which also sends programs, and the cheapest of the later ones.

    Other work on the machine takes caches away, and never makes anything faster.
    """
    later = min(rounds[1:], key=lambda one: one[CONTROL])
    for name, one in (("first", rounds[0]), ("later", later)):
        each_us = one[CONTROL] / (boards * JOB.training.local_steps) * 1e6
        print(
            f"| {boards:,} | {name} | {one[CONTROL]:.2f} | {each_us:.0f} | {one[PAYLOAD]:.2f} | "
            f"{one[ELSEWHERE]:.2f} | {one['events']:,.0f} |",
            flush=True,
        )
    return later[CONTROL]


def _exponent(boards: Sequence[int], seconds: Sequence[float]) -> float:
    """Returns the slope of a line through the logarithms; 1 is linear."""
    return float(np.polyfit(np.log(boards), np.log(seconds), 1)[0])


if __name__ == "__main__":
    main()
