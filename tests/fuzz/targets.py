"""Everything that decodes bytes we did not write, and the errors that each may raise."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen

from coordinator.fleet import Fleet
from coordinator.job import Job
from coordinator.learning.checkpoint import Checkpoint
from coordinator.plan import Assignment, Plan
from coordinator.record.plan_log import logged_plans
from coordinator.record.run_record import RunRecord
from device_agent.config import AgentConfig
from device_agent.graph_check import check_graph
from firmware_profiles.card_file import read_card
from firmware_profiles.errors import CardError
from runtime import codecs, wire
from runtime.broker_url import BrokerUrl
from runtime.config import load
from runtime.errors import ConfigError, ProgramError, StorageError, WireError
from runtime.frames import Chunk, Grant, Offer, Receipt, Session
from runtime.ids import COORDINATOR, DeviceId
from runtime.letters import AttemptKey, Step
from runtime.program import decode as decode_program
from runtime.tensors import pack_all, unpack
from runtime.topics import FRAMES, Direction
from runtime.transport.base import Arrived
from tests.docs.page import REPOSITORY
from tests.fuzz.mutator import Form
from tests.hostile.programs import GOOD
from tests.wire.messages import MESSAGES
from tests.world import FLEET, NullWorld

_SHAPE = (4, 3, 2)
_BOARD = DeviceId("board-0")


@frozen
class Target:
    """A decoder, valid inputs for it, and the errors it is allowed."""

    name: str
    form: Form
    corpus: tuple[bytes, ...]
    decode: Callable[[bytes], object]
    declared: type[Exception] | tuple[()]
    weight: int = 4
    """Its part of all inputs; files are slower than messages."""


def all_targets(folder: Path) -> list[Target]:
    """Returns every target; files are written into `folder`."""
    return [
        *_messages(), *_tensors(), *_programs(), *_machines(), *_files(folder),
        Target("broker-url", "text", _URLS, lambda data: BrokerUrl.parse(_text(data)), ValueError),
    ]  # fmt: skip


def _messages() -> Iterator[Target]:
    """Frames and letters (msgpack) and presence (JSON), one target for each class."""
    classes = {type(message) for message in MESSAGES.values()}
    for cls in sorted(classes, key=lambda cls: cls.__name__):
        of_class = [message for message in MESSAGES.values() if type(message) is cls]
        if cls.__name__.endswith("Presence"):
            corpus = tuple(map(wire.encode_json, of_class))
            decode: Callable[[bytes], object] = partial(wire.decode_json, cls)
            yield Target(cls.__name__, "json", corpus, decode, WireError)
        else:
            corpus = tuple(map(wire.encode, of_class))
            yield Target(cls.__name__, "msgpack", corpus, partial(wire.decode, cls), WireError)


def _tensors() -> Iterator[Target]:
    """A step whose parts go through each codec."""
    values = np.linspace(-1, 1, 24, dtype=np.float32).reshape(_SHAPE)
    for codec in codecs.CODECS:
        parts = pack_all(codecs.encode(codec, values, noise=None))
        corpus = (wire.encode(Step("run", AttemptKey(1, 1), 0, 0, parts)),)
        yield Target(f"codec-{codec}", "msgpack", corpus, partial(_decoded, codec), WireError)


def _decoded(codec: str, data: bytes) -> object:
    tensors = wire.decode(Step, data).value.tensors
    arrays = {name: unpack(tensor) for name, tensor in tensors.items()}
    with np.errstate(all="ignore"):
        return codecs.decode(codec, arrays, _SHAPE)


def _programs() -> Iterator[Target]:
    yield Target("program", "msgpack", (GOOD.encode(),), decode_program, ProgramError)
    graphs = (GOOD.forward, GOOD.backward)
    yield Target("graph", "bytes", graphs, check_graph, ProgramError)


def _machines() -> Iterator[Target]:
    """Whole parties, which may raise nothing at all: frames of a session, and presence."""
    ways: tuple[Direction, ...] = ("up", "down")
    for way in ways:
        party, session = _joined(way)
        for leaf, frames in _frames(session).items():
            topic = FLEET.frame(FRAMES[way][leaf], _BOARD)
            take = partial(_take, party, topic)
            yield Target(f"party-{way}-{leaf}", "msgpack", frames, take, ())


def _joined(way: Direction) -> tuple[Any, Session]:
    """A party of a fleet whose one session stands."""
    world = NullWorld(devices=1, rounds=1)
    world.start_all()
    while _BOARD not in world.lives[COORDINATOR].party.state.duties and world.clock.step():
        pass
    coordinator = world.lives[COORDINATOR].party
    board = world.lives[_BOARD].party
    session = Session(coordinator.state.incarnation, board.state.birth.incarnation)
    return (coordinator if way == "up" else board), session


def _frames(session: Session) -> dict[str, tuple[bytes, ...]]:
    letters = [wire.encode(one) for name, one in MESSAGES.items() if name.startswith("letter")]
    kinds = ("step", "result", "refusal", "program-request", "probe-report", "order", "gradient")
    offers = [
        Offer(session, number, kind, len(body), hashlib.sha256(body).digest(), body)
        for number, (kind, body) in enumerate(zip(kinds * 2, letters, strict=False), start=1)
    ]
    return {
        "offer": tuple(map(wire.encode, offers)),
        "grant": (wire.encode(Grant(session, 1, ((0, 8), (8, 4096)))),),
        "chunk": (wire.encode(Chunk(session, 1, 0, 0, b"x" * 8)),),
        "receipt": (wire.encode(Receipt(session, 1)), wire.encode(Receipt(session, 2, "no"))),
    }


def _take(party: Any, topic: str, data: bytes) -> object:
    return party.handle(Arrived(topic, data), 1.0)


def _files(folder: Path) -> Iterator[Target]:
    """What people write, and what a run wrote, with the errors that name the file."""
    examples = REPOSITORY / "examples" / "own_model"
    for script in examples.glob("*.py"):
        shutil.copy(script, folder)
    board = REPOSITORY / "firmware_profiles" / "boards" / "rpi-4b.toml"
    for name, cls, paths in (
        ("job", Job, [examples / "job.toml"]),
        ("fleet", Fleet, [examples / "fleet.toml"]),
        ("agent", AgentConfig, [examples / "agent-a.toml"]),
    ):
        corpus = tuple(path.read_bytes() for path in paths)
        read = _written(folder / f"{name}.toml", partial(_load, cls))
        yield Target(f"{name}-file", "text", corpus, read, ConfigError, weight=1)
    card = _written(folder / board.name, read_card)
    yield Target("card-file", "text", (board.read_bytes(),), card, CardError, weight=1)
    plan = Plan(1, "fixed", (Assignment(_BOARD, "layer1", "int8", "fp16", 32),))
    line = wire.encode_json(plan) + b"\n"
    plans = _written(folder / "plans.jsonl", _read_plans)
    yield Target("plan-log", "json", (line,), plans, StorageError, weight=2)
    Checkpoint("run", 3, {_BOARD: 64}, {"w": np.ones((2, 2), np.float32)}).save(folder / "good")
    checkpoint = _written(folder / "checkpoint", Checkpoint.load)
    kept = (folder / "good").read_bytes()
    yield Target("checkpoint", "bytes", (kept,), checkpoint, StorageError, weight=1)


def _written(path: Path, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    def decode(data: bytes) -> object:
        path.write_bytes(data)
        return read(path)

    return decode


def _load(cls: type[Any], path: Path) -> object:
    return load(path, cls)


def _read_plans(path: Path) -> object:
    return logged_plans(RunRecord(path.parent))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


_FILE = str(Path(__file__)).encode()
_URLS = (
    b"mqtt://ann:secret@broker:1884",
    b"mqtts://broker.example?ca=%s&cert=%s&key=%s" % (_FILE, _FILE, _FILE),
    b"unix:///run/broker.sock?user=ann&password_file=" + _FILE,
    b"mqtt://[::1]:99/",
)
