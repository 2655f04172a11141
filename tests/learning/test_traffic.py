"""int8 in both directions moves at most 0.27 of the bytes of fp32, with everything around it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from attrs import evolve

from coordinator.cutting.traced_model import Cut, trace
from coordinator.job import CodecName
from coordinator.zoo.small_cnn import small_cnn
from runtime.ids import DeviceId
from tests.learning import laboratory
from tests.learning.laboratory import FixedCuts
from tests.learning.lesson import SMALL_CNN

BATCH = 32
LEAST_BYTES = 16 * 1024
MOST_OF_FP32 = 0.27
DEMO = evolve(SMALL_CNN, shape=(1, 28, 28), args={})


def worthwhile_cuts() -> dict[DeviceId, Cut]:
    """The cuts of the demo's model whose tensor is big enough, one for each of many boards."""
    cuts = trace(small_cnn(), [torch.zeros(BATCH, *DEMO.shape)]).cuts
    big = [cut for cut in cuts if BATCH * cut.smashed_bytes_per_sample >= LEAST_BYTES]
    return {DeviceId(f"board-{index:02}"): cut for index, cut in enumerate(big)}


CUTS = worthwhile_cuts()


def traffic(codec: CodecName, local_steps: int, folder: Path) -> dict[DeviceId, int]:
    """Bytes of one round by board, both ways: steps, layer state and the program."""
    job = DEMO.job(DEMO.sgd, rounds=1, local_steps=local_steps, batch=BATCH, codec=codec)
    cuts = FixedCuts({device: cut.name for device, cut in CUTS.items()})
    run = laboratory.train(job, dict.fromkeys(CUTS, DEMO.data(40)), cuts, folder)
    devices = run.rounds[0]["devices"]
    return {device: devices[device]["up_bytes"] + devices[device]["down_bytes"] for device in CUTS}


@pytest.fixture(scope="module")
def step_bytes(
    tmp_path_factory: pytest.TempPathFactory, one_thread: None, shelf: None
) -> dict[CodecName, dict[DeviceId, int]]:
    """Bytes of a step by codec and board: what longer rounds add, layer state cancelling out."""
    found: dict[CodecName, dict[DeviceId, int]] = {}
    codecs: tuple[CodecName, ...] = ("fp32", "int8")
    for codec in codecs:
        short, long = (traffic(codec, steps, tmp_path_factory.mktemp(codec)) for steps in (1, 2))
        found[codec] = {device: long[device] - short[device] for device in CUTS}
    return found


def test_there_are_cuts_at_every_block() -> None:
    assert {cut.name.partition(".")[0] for cut in CUTS.values()} >= {"block1", "block2", "block3"}


@pytest.mark.parametrize("device", CUTS, ids=[cut.name for cut in CUTS.values()])
def test_int8_moves_a_quarter_and_little_more(
    device: DeviceId, step_bytes: dict[CodecName, dict[DeviceId, int]]
) -> None:
    there_and_back = 2 * BATCH * CUTS[device].smashed_bytes_per_sample
    fp32, int8 = step_bytes["fp32"][device], step_bytes["int8"][device]
    assert there_and_back < fp32 < 1.1 * there_and_back
    assert there_and_back / 4 < int8 <= MOST_OF_FP32 * fp32
