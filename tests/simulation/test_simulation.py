"""Whole simulations: the same twice, recorded as a run, and learning what a real run learns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from attrs import evolve

from coordinator.fleet import Device, Fleet, FleetName
from coordinator.job import CodecFloor, CodecLimits, Evaluation, Input, Job, Model, Training
from coordinator.record.run_record import RunRecord, read_lines
from coordinator.simulation.conditions import BoardConditions, Conditions, Outage, Shared
from coordinator.simulation.simulation import Setting, simulate
from runtime.dataset import Dataset, open_source
from runtime.emulation_spec import Emulation
from runtime.exits import Exit
from runtime.ids import DeviceId
from runtime.optimisers import OptimiserSpec
from tests.learning import laboratory
from tests.simulation.stages import JOB, board, perform

HARD = Conditions(
    Shared(uplink_mbps=6, downlink_mbps=6, delay_ms=2),
    board=(
        BoardConditions("a", delay_ms=10, jitter_ms=20, loss=0.02, outages=(Outage(1.0, 2.0),)),
        BoardConditions("b", jitter_ms=5, loss=0.01),
    ),
)


def test_same_seed_same_result() -> None:
    devices = [board("a", up=8), board("b", "block1", down=4), board("c", "block3")]
    one, two = (perform(devices, conditions=HARD) for _ in range(2))
    # As text, in which one NaN is like another.
    assert json.dumps(one.notes.streams) == json.dumps(two.notes.streams)
    assert one.world.broker.delivered == two.world.broker.delivered


def test_another_seed_draws_other_weather() -> None:
    devices = [board("a", up=8), board("b")]
    other = evolve(JOB, job=evolve(JOB.training, seed=4))
    one, two = perform(devices, conditions=HARD), perform(devices, job=other, conditions=HARD)
    assert one.duration_s() != two.duration_s()


def test_codec_floors_hold_where_a_board_is_cut() -> None:
    limits = CodecLimits("int8", "int8", (CodecFloor("block2", up="fp16", down="fp32"),))
    devices = [board("a", "block1"), board("b", "block2"), board("c", "block3")]
    parts = perform(devices, job=evolve(JOB, codec=limits)).rounds[-1]["devices"]
    deep = ("fp16", "fp32")
    found = {name: (one["codec_up"], one["codec_down"]) for name, one in parts.items()}
    assert found == {"a": ("int8", "int8"), "b": deep, "c": deep}


CUTS = {"a": "block1", "b": "block2", "c": "block2"}


@pytest.fixture
def one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _job(folder: Path) -> Job:
    return Job(
        job=Training("learned", 2, 2, 8, seed=5),
        model=Model("coordinator.zoo.small_cnn:small_cnn", {"widths": [8, 16], "image_size": 16}),
        input=Input((1, 16, 16), 10),
        optimiser=OptimiserSpec("adam", lr=2e-3),
        codec=CodecLimits("int8", "int8"),
        evaluation=Evaluation("a.npz", batch=64),
        base=folder,
    )


def _write_shards(folder: Path, names: Sequence[str]) -> dict[DeviceId, Dataset]:
    random = np.random.default_rng(0)
    shards = {}
    for index, name in enumerate(names):
        count = 30 + 7 * index
        x = random.integers(0, 256, (count, 1, 16, 16), dtype=np.uint8)
        np.savez(folder / f"{name}.npz", x=x, y=random.integers(0, 10, count))
        shards[DeviceId(name)] = open_source(f"{name}.npz", folder)
    return shards


def _fleet(folder: Path) -> Fleet:
    devices = [
        Device(name, cut=cut, data=f"{name}.npz", emulate=Emulation(None, 0.05 * (1 + i), 10, 10))
        for i, (name, cut) in enumerate(CUTS.items())
    ]
    return Fleet(FleetName("learners"), tuple(devices), base=folder)


def test_learning_gives_the_weights_of_a_run_without_links(
    tmp_path: Path, one_thread: None
) -> None:
    job, shards = _job(tmp_path), _write_shards(tmp_path, sorted(CUTS))
    plain = laboratory.train(job, shards, laboratory.FixedCuts(CUTS), tmp_path / "plain")
    record = RunRecord.begin(tmp_path / "run")
    conditions = Conditions(board=(BoardConditions("a", delay_ms=20, loss=0.02, jitter_ms=9),))
    simulated = simulate(job, _fleet(tmp_path), record, Setting(conditions, learn=True))
    assert simulated.halt.code is Exit.OK
    rounds = record.rounds()
    assert rounds[-1]["weights_sha256"] == plain.weights_sha256
    assert rounds[-1]["accuracy"] == plain.rounds[-1]["accuracy"]
    slowest = rounds[-1]["devices"]["c"]
    assert slowest["step"]["p50_s"] == pytest.approx(0.15)
    assert slowest["compute_s"] == pytest.approx(0.3)
    assert rounds[-1]["duration_s"] > 0.3


def test_learning_takes_the_time_that_stand_ins_take(tmp_path: Path, one_thread: None) -> None:
    """Labels, activations and state of stand-ins weigh what real ones do, programs nearly."""
    job, fleet = _job(tmp_path), _fleet(tmp_path)
    _write_shards(tmp_path, sorted(CUTS))
    durations = []
    for learn in (False, True):
        record = RunRecord.begin(tmp_path / f"run-{learn}")
        simulate(job, fleet, record, Setting(learn=learn))
        durations.append([one["duration_s"] for one in record.rounds()])
    assert durations[0][0] == pytest.approx(durations[1][0], rel=0.05)
    assert durations[0][1] == pytest.approx(durations[1][1], rel=1e-3)


def test_a_run_is_recorded_as_simulated(tmp_path: Path) -> None:
    job = evolve(_job(tmp_path), job=Training("timed", 2, 2, 8))
    record = RunRecord.begin(tmp_path / "run")
    simulate(job, _fleet(tmp_path), record)
    assert [one["simulated"] for one in record.rounds()] == [True, True]
    assert [one["accuracy"] for one in record.rounds()] == [None, None]
    assert [one["planner"] for one in record.plans()] == ["fixed", "fixed"]
    events = read_lines(record.folder / "events.jsonl")
    assert all(one["simulated_s"] >= 0 for one in events)
    assert json.loads((record.folder / "rounds.jsonl").read_text().splitlines()[0])["round"] == 1
