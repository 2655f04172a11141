"""What a round costs the coordinator beside learning, for fleets of up to 1,000 boards.

A simulated fleet exchanges the letters of a small CNN: in each of ten local steps a board sends
50 KB of int8 activations and gets as much of gradients, and once a round its layer state goes
both ways. A party is a function of what it is told: on the clock is a twin of the coordinator's,
which is told the same as the one that takes part, thousands of events at a time. So neither the
boards' work nor a stopwatch comes between its own. SHA-256 and CRC-32 of payloads, and msgpack's
copying of messages above 8 KiB, are the data plane: other twins tell what they take. There are
nine twins on the clock and three of the others, told the same one after the other; of what they
take for it the least counts, since other work on the machine makes nothing faster. With a
planner, boards are measured first, and every round is planned from what was measured.

    python -m benchmarks.control_work [--boards 100 300 1000] [--planner NAME] [--profile]
"""

from __future__ import annotations

import argparse
import cProfile
import hashlib
import pstats
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal
from unittest.mock import patch

import msgpack
import numpy as np
from attrs import define, evolve, field

from coordinator.fleet import Device, Fleet
from coordinator.garbage import look_rarely
from coordinator.job import CodecLimits, Job, Planner
from coordinator.machine import react
from coordinator.plan import Planner as Plans
from coordinator.planning.live_setup import live_planner
from coordinator.planning.planners import SOLVERS
from coordinator.record.run_record import RunRecord
from coordinator.simulation.budgets import pacing
from coordinator.simulation.casts import Modelled, StandIns
from coordinator.simulation.conditions import Conditions
from coordinator.simulation.costs import Costs
from coordinator.simulation.ledger import Ledger
from coordinator.simulation.payloads import Payloads
from coordinator.simulation.simulation import SimulatedRecords, fixed_planner, survey_for
from coordinator.simulation.world import Nowhere, SimulatedWorld
from runtime import wire
from runtime.effects import Effect, Record
from runtime.emulation_spec import TRAINING_FACTOR, Emulation
from runtime.events import HostEvent
from runtime.ids import COORDINATOR, DeviceId
from runtime.letters import ANSWERED
from runtime.party import Party
from runtime.topics import INLINE_LIMIT_BYTES
from runtime.transfers import inbox, outbox
from runtime.transfers.courier import Courier
from runtime.transport.base import Arrived
from runtime.virtual import VirtualClock
from tests.simulation.stages import JOB, SERVER_GFLOPS, TRACED, fleet

BOARDS = (100, 300, 1000)
ROUNDS = 7
CUT = "block2"
RUN = "control-work"
Make = Callable[[], Party[Any]]
Role = Literal["timed", "weighed", "profiled"]
_ROLES: tuple[Role, ...] = ("timed", "timed", "timed", "weighed") * 3
_BATCH_BYTES = 64 * 1024 * 1024
"""Of payloads, for so long events are kept: some thousand at a time. With fewer, every board would
be new to the caches in each batch, for another twin has used them meanwhile."""


@define
class Spent:
    """In one round: seconds of processor by batch of events, and how many of these."""

    all_s: list[float] = field(factory=list)
    payload_s: list[float] = field(factory=list)
    events: int = 0

    @property
    def control_s(self) -> float:
        return sum(self.all_s) - sum(self.payload_s)


def least(twins: Sequence[Sequence[float]]) -> list[float]:
    """Returns the least of what twins took, batch by batch."""
    return [min(batch) for batch in zip(*twins, strict=True)]


@define
class Scales:
    """Adds up what the sums and copies of payloads take."""

    payload_s: float = 0.0
    _clock_s: float = 0.0
    """What it costs to look at the clock: of two looks, one is between the two."""

    def __attrs_post_init__(self) -> None:
        looks = 20_000
        began_s = time.thread_time()
        for _ in range(looks):
            time.thread_time()
        self._clock_s = (time.thread_time() - began_s) / looks

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Weighs whatever is summed and copied meanwhile."""
        sums = SimpleNamespace(sha256=self._weighing(hashlib.sha256))
        checks = SimpleNamespace(crc32=self._weighing(zlib.crc32))
        packing = SimpleNamespace(
            packb=self._weighing(msgpack.packb), unpackb=self._weighing(msgpack.unpackb)
        )
        with (
            patch.object(inbox, "hashlib", sums),
            patch.object(outbox, "hashlib", sums),
            patch.object(inbox, "zlib", checks),
            patch.object(outbox, "zlib", checks),
            patch.object(wire, "msgpack", packing),
        ):
            yield

    def read(self) -> float:
        """Returns what was added up since it was last read."""
        payload_s, self.payload_s = self.payload_s, 0.0
        return payload_s

    def _weighing(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        def weighed(data: Any, **options: Any) -> Any:
            began_s = time.thread_time()
            result = inner(data, **options)
            lasted_s = time.thread_time() - began_s - self._clock_s
            message = data if isinstance(data, bytes) else result
            if len(message) > INLINE_LIMIT_BYTES:
                self.payload_s += lasted_s
            return result

        return weighed


@define
class Twin:
    """The coordinator's party and its record once more, told what has happened in batches."""

    party: Party[Any]
    record: RunRecord
    scales: Scales | None = None
    profile: cProfile.Profile | None = None
    rounds: list[Spent] = field(factory=lambda: [Spent()])

    def hear(self, told: Sequence[tuple[HostEvent, float]]) -> None:
        """Takes a batch of events."""
        with self.scales.watching() if self.scales else self.profile or nullcontext():
            began_s = time.thread_time()
            for event, now in told:
                self.rounds[-1].events += 1
                for effect in self.party.handle(event, now):
                    if isinstance(effect, Record):
                        self.record.append(effect.stream, effect.entry)
                        if effect.stream == "rounds":
                            began_s = self._note(began_s)
                            self.rounds.append(Spent())
            self._note(began_s)

    def _note(self, began_s: float) -> float:
        """Notes what was spent since; returns when that was."""
        now_s = time.thread_time()
        self.rounds[-1].all_s.append(now_s - began_s)
        self.rounds[-1].payload_s.append(self.scales.read() if self.scales else 0.0)
        return now_s


def _live(line: Connection, folder: Path, make: Make, role: Role) -> None:
    """Is a twin in a process of its own, as a coordinator is: tells when it has heard a batch."""
    profile = cProfile.Profile(time.thread_time) if role == "profiled" else None
    scales = Scales() if role == "weighed" else None
    record = RunRecord.begin(folder)
    twin = Twin(make(), record, scales, profile)
    look_rarely()  # as the coordinator's process does
    while told := line.recv():
        twin.hear(told)
        line.send(None)
    record.close()
    if profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
    line.send(twin.rounds[:-1])


@define
class Overheard:
    """What the coordinator of a simulation is told, on its way to twins of its."""

    folder: Path
    roles: Sequence[Role]
    _lines: list[tuple[Role, Connection]] = field(factory=list)
    _told: list[tuple[HostEvent, float]] = field(factory=list)
    _bytes: int = 0

    def meet(self, make: Make) -> None:
        """Starts the twins; none of them works while another or the simulation does."""
        processes = get_context("fork")
        for number, role in enumerate(self.roles):
            ours, theirs = processes.Pipe()
            twin = (theirs, self.folder / f"{role}-{number}", make, role)
            processes.Process(target=_live, args=twin, daemon=True).start()
            self._lines.append((role, ours))

    def add(self, event: HostEvent, now: float) -> None:
        self._told.append((event, now))
        self._bytes += len(event.payload) if isinstance(event, Arrived) else 0
        if self._bytes >= _BATCH_BYTES:
            self._pass_on()

    def end(self) -> list[tuple[Role, list[Spent]]]:
        """Returns what each round of each twin spent."""
        self._pass_on()
        for _, line in self._lines:
            line.send([])
        return [(role, line.recv()) for role, line in self._lines]

    def _pass_on(self) -> None:
        for _, line in self._lines:
            line.send(self._told)
            line.recv()
        self._told, self._bytes = [], 0


class OverheardWorld(SimulatedWorld):
    """A simulated world whose coordinator has twins."""

    overheard: Overheard

    def _launch(self, party: Party[Any], name: DeviceId, *rest: Any) -> None:
        if name == COORDINATOR:
            overheard, handle, state = self.overheard, party.handle, party.state
            limits = pacing(self._conditions.shared, self._job)

            def twin() -> Party[Any]:
                courier = Courier(limits, ANSWERED)
                return Party(react, state, self._topics, COORDINATOR, courier, self._rhythm)

            def handled(event: HostEvent, now: float) -> list[Effect]:
                overheard.add(event, now)
                return handle(event, now)

            overheard.meet(twin)
            party.handle = handled  # type: ignore[method-assign]
        super()._launch(party, name, *rest)


def measure(boards: int, planner: str = "fixed", roles: Sequence[Role] = _ROLES) -> list[Spent]:
    """Returns what each round of a fleet spent."""
    job = evolve(
        JOB,
        job=evolve(JOB.training, rounds=ROUNDS),
        codec=CodecLimits("int8", "int8"),
        planner=Planner(name=planner),  # type: ignore[arg-type]
    )
    with tempfile.TemporaryDirectory() as folder:
        overheard = Overheard(Path(folder), roles)
        _run(job, boards, overheard)
        heard = overheard.end()
    timed = zip(*(rounds for role, rounds in heard if role != "weighed"), strict=True)
    weighed = zip(*(rounds for role, rounds in heard if role != "timed"), strict=True)
    return [
        Spent(
            least([one.all_s for one in round]),
            least([one.payload_s for one in of_payload]),
            round[0].events,
        )
        for round, of_payload in zip(timed, weighed, strict=True)
    ]


def _run(job: Job, boards: int, overheard: Overheard) -> None:
    rng = np.random.default_rng(0)
    crowd = fleet(*(_board(number, rng) for number in range(boards)))
    clock, ledger, conditions = VirtualClock(), Ledger(), Conditions()
    cast = StandIns(job, Payloads(job, TRACED))
    planner = _planner(job, crowd)
    OverheardWorld.overheard = overheard
    OverheardWorld(
        job,
        crowd,
        planner,
        Modelled(cast, Costs(TRACED, SERVER_GFLOPS), clock, ledger, conditions),
        clock=clock,
        records=SimulatedRecords(Nowhere(), ledger, clock),
        run=RUN,
        conditions=conditions,
        survey=survey_for(planner, RUN, job),
    ).run()


def _board(number: int, rng: np.random.Generator) -> Device:
    """Draws links, and what a step takes at the cut; a planner may choose another one."""
    up, down, step_s = rng.uniform(10, 40), rng.uniform(10, 40), rng.uniform(0.02, 0.2)
    flops = TRAINING_FACTOR * JOB.training.batch * TRACED.cut(CUT).device_flops_per_sample
    return Device(f"b{number:04}", cut=CUT, emulate=Emulation(flops / step_s / 1e9, None, up, down))


def _planner(job: Job, crowd: Fleet) -> Plans:
    if job.planner.name == "fixed":
        return fixed_planner(job, crowd, TRACED)
    return live_planner(job, crowd, TRACED, buffer_bytes=0, labels_bytes=1)


def main(arguments: list[str] | None = None) -> None:
    """Prints a row for every size of fleet, and how the seconds grow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boards", type=int, nargs="+", default=BOARDS)
    parser.add_argument("--planner", default="fixed", choices=["fixed", *SOLVERS])
    parser.add_argument("--profile", action="store_true", help="show where the time goes instead")
    options = parser.parse_args(arguments)
    if options.profile:
        measure(options.boards[-1], options.planner, ("profiled",))
        return
    print("| boards | round | control s | us a board's step | payload s | events |")
    print("|---|---|---|---|---|---|")
    steady = [_tell(boards, measure(boards, options.planner)) for boards in options.boards]
    if len(steady) > 1:
        print(
            f"\nLater rounds take boards to the power of {_exponent(options.boards, steady):.2f}."
        )


def _tell(boards: int, rounds: Sequence[Spent]) -> float:
    """Prints the first round, which also sends programs, and the cheapest of the later ones.

    Other work on the machine takes caches away, and never makes anything faster.
    """
    later = min(rounds[1:], key=lambda one: one.control_s)
    for name, one in (("first", rounds[0]), ("later", later)):
        each_us = one.control_s / (boards * JOB.training.local_steps) * 1e6
        print(
            f"| {boards:,} | {name} | {one.control_s:.2f} | {each_us:.0f} | "
            f"{sum(one.payload_s):.2f} | {one.events:,} |",
            flush=True,
        )
    return later.control_s


def _exponent(boards: Sequence[int], seconds: Sequence[float]) -> float:
    """Returns the slope of a line through the logarithms; 1 is linear."""
    return float(np.polyfit(np.log(boards), np.log(seconds), 1)[0])


if __name__ == "__main__":
    main()
