"""What a hostile device on its own branch can make the coordinator do and keep."""

from __future__ import annotations

import hashlib
from typing import Any

import attrs
import numpy as np
import pytest

from coordinator.fleet import Device, Fleet, FleetName
from coordinator.learning.letter_limit import largest_letter_bytes
from coordinator.learning.training import CoordinatorExecutor
from coordinator.plan import Assignment, Plan
from coordinator.tasks import Collect, FetchProgram, OpenRound, Prepare
from runtime.effects import Record, Submit
from runtime.errors import ModelError
from runtime.events import Started
from runtime.frames import Offer, Session
from runtime.ids import COORDINATOR, DeviceId
from runtime.letters import AttemptKey, ProgramRequest
from runtime.link_meter import Reading
from runtime.machine_events import Traffic
from runtime.presence import DevicePresence
from runtime.ration import Ration
from runtime.tensors import pack_all, unpack_all
from runtime.topics import FRAMES
from runtime.transfers.outbox import Outbox
from runtime.transport.base import Arrived
from runtime.wire import encode, encode_json
from tests.learning.lesson import ADAM, SMALL_CNN
from tests.machines.coordinating import ONE, begun
from tests.world import FLEET, NullWorld

BOARD = DeviceId("board-0")
BATCHES = (("board-0", None), ("board-1", 64))
BIRTH = DevicePresence(
    BOARD, 10**6, "online", samples=8, codecs=("fp32", "fp16", "int8"), optimisers=("sgd",)
)


@pytest.fixture
def party() -> Any:
    world = NullWorld(devices=1, rounds=1)
    world.start_all()
    made = world.lives[COORDINATOR].party
    made.handle(Started(), 0.0)
    return made


def _births(party: Any, count: int) -> list[Any]:
    effects: list[Any] = []
    for life in range(count):
        birth = attrs.evolve(BIRTH, incarnation=BIRTH.incarnation + life)
        arrived = Arrived(FLEET.device_state(BOARD), encode_json(birth))
        effects += party.handle(arrived, life * 1e-3)
    return effects


def test_a_flood_of_births_costs_little_work_and_few_lines(party: Any) -> None:
    effects = _births(party, 5000)
    assert sum(isinstance(effect, Submit) for effect in effects) < 40
    assert sum(isinstance(effect, Record) for effect in effects) < 80
    counts = party.counts()
    assert counts["too many announcements"] > 4900


def test_a_flood_of_requests_costs_little_work(party: Any) -> None:
    _births(party, 1)
    topic = FLEET.frame(FRAMES["up"]["offer"], BOARD)
    work = 0
    body = encode(ProgramRequest("0" * 64))
    coordinator = party.state.incarnation
    for number in range(1, 2000):
        offer = Offer(
            Session(coordinator, BIRTH.incarnation), number, "program-request", len(body),
            hashlib.sha256(body).digest(), body,
        )  # fmt: skip
        for effect in party.handle(Arrived(topic, encode(offer)), number * 1e-3):
            work += isinstance(effect, Submit) and isinstance(effect.task, FetchProgram)
    assert 20 < work < 40
    assert party.counts()["too many requests"] > 1900


def test_what_waits_for_a_peer_that_confirms_nothing_is_bounded() -> None:
    outbox = Outbox(Session(1, 1))
    taken = sum(outbox.post("program", bytes(1_000_000)) for _ in range(500))
    outbox.offers(0.0)
    assert 60 < taken < 80
    assert outbox.held_bytes < 80e6
    assert Outbox(Session(1, 1)).post("order", bytes(100_000_000)), "one letter of any size"


def test_stale_letters_leave_nothing_behind() -> None:
    made = begun(ONE)
    duty = made.state.duties[ONE]
    for number in range(2000):
        duty = duty.heard(Traffic(link=Reading(1e6, number)))
    assert len(duty.round_trips_s) <= 256
    assert duty.round_trips_s[-1] == 1999


def test_a_ration_is_given_to_each_and_comes_back() -> None:
    ration = Ration(3, every_s=10.0)
    assert [ration.admits("a", now=0.0) for _ in range(5)] == [True] * 3 + [False] * 2
    assert ration.admits("b", now=0.0)
    assert [ration.admits("a", now=25.0) for _ in range(3)] == [True, True, False]


def test_invented_names_share_one_ration() -> None:
    ration = Ration(1, every_s=1e9)
    admitted = sum(ration.admits(f"name-{number}", now=0.0) for number in range(20_000))
    assert admitted == 10_001
    assert len(ration._buckets) == 10_001


@pytest.fixture(scope="module")
def executor(tmp_path_factory: pytest.TempPathFactory) -> CoordinatorExecutor:
    path = tmp_path_factory.mktemp("run") / "checkpoint"
    return CoordinatorExecutor(SMALL_CNN.job(ADAM, batch=16), SMALL_CNN.data(), "run", path)


def test_a_negative_variance_is_refused(executor: CoordinatorExecutor) -> None:
    """Finite as it is, its square root would be NaN on every board of the next round."""
    assignment = Assignment(BOARD, "block2", "fp32", "fp32", 16)
    executor.run(OpenRound(Plan(1, "fixed", (assignment,))))
    state = unpack_all(executor.run(Prepare(assignment, AttemptKey(1, 1))).tensors)
    poisoned = [key for key in state if key.endswith(("#exp_avg_sq", "running_var"))]
    assert poisoned
    for key in poisoned:
        bad = {**state, key: np.full_like(state[key], -1.0)}
        with pytest.raises(ModelError, match="negative"):
            executor.run(Collect(BOARD, AttemptKey(1, 1), 16, pack_all(bad)))
    executor.run(Collect(BOARD, AttemptKey(1, 1), 16, pack_all(state)))


def test_letters_are_limited_by_what_the_job_needs(executor: CoordinatorExecutor) -> None:
    boards = tuple(Device(board, cut="block2", batch=batch) for board, batch in BATCHES)
    job = SMALL_CNN.job(ADAM, batch=16)
    limit_bytes = largest_letter_bytes(job, Fleet(FleetName("fleet"), boards), executor)
    cuts = executor.traced.cuts
    widest = max(np.zeros((64, *cut.smashed_shape), np.float32).nbytes for cut in cuts)
    state_bytes = sum(array.nbytes for array in executor.state.values())
    assert max(widest, state_bytes, 2**21) < limit_bytes < 2 * max(widest, state_bytes, 2**21)
