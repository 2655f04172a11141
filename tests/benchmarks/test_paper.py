"""The experiment's shortcut: a curve learned once, with the clock of a plan laid over it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.paper.contenders import FEDAVG, PRODUCT, SEQUENTIAL, SPLIT, Contender, Turns
from benchmarks.paper.curves import Curve, learn
from benchmarks.paper.performance import perform
from benchmarks.paper.proof import prove
from benchmarks.paper.results import LEARNED, learned_by
from benchmarks.paper.scene import CURVE_BUDGET_MBPS, Scene
from coordinator.cutting.cut_check import trace_job
from coordinator.fleet import Data, Device, Fleet, FleetName
from coordinator.job import CodecLimits, Evaluation, Input, Job, Model, Training
from coordinator.plan import Knowledge
from runtime.emulation_spec import Emulation
from runtime.optimisers import OptimiserSpec
from runtime.shard import write_shard

CYCLES = 3
MODEL = """
from torch import nn

def build(width=1.0):
    inner = max(2, round(8 * width))
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, inner, 3), nn.ReLU()),
        nn.Sequential(nn.Conv2d(inner, inner, 3), nn.ReLU()),
        nn.Sequential(nn.Flatten(), nn.Linear(inner * 16, 3)),
    )
"""


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Two unequal boards, and a model of three layers whose classes differ in brightness."""
    random = np.random.default_rng(1)
    for name, count in (("train", 60), ("test", 50)):
        labels = random.integers(0, 3, count)
        images = 60 * labels[:, None, None] + random.integers(0, 90, (count, 8, 8))
        write_shard(tmp_path / f"{name}.npz", images.astype(np.uint8), labels)
    (tmp_path / "model.py").write_text(MODEL)
    job = Job(
        job=Training("tiny", CYCLES, 4, 4, seed=5),
        model=Model("model.py:build"),
        input=Input((1, 8, 8), 3),
        optimiser=OptimiserSpec("sgd", lr=0.2),
        evaluation=Evaluation("test.npz"),
        codec=CodecLimits("fp32", "fp32"),
        base=tmp_path,
    )
    boards = (
        Device("slow-1", cut="0", emulate=Emulation(0.01, None, 2, 2)),
        Device("fast-1", cut="0", emulate=Emulation(1, None, 50, 50)),
    )
    fleet = Fleet(FleetName("two"), boards, data=Data("train.npz"), base=tmp_path)
    return Scene(job, fleet, trace_job(job), CURVE_BUDGET_MBPS)


@pytest.mark.parametrize("contender", [PRODUCT, SEQUENTIAL, Contender("optimal", "fp32", "static")])
def test_an_overlay_is_a_complete_run(scene: Scene, contender: Contender, tmp_path: Path) -> None:
    curve = learn("tiny", scene, contender, tmp_path)
    assert len(set(curve.accuracies)) > 1, "nothing was learned"
    proof = prove(scene, contender, curve, tmp_path, CYCLES)
    assert proof.accuracy_gap == 0
    assert proof.later_gap == pytest.approx(0, abs=1e-3)
    # The size of a program is an estimate without learning.
    assert proof.first_gap < 0.2


def test_boards_that_train_whole_models_learn_what_split_ones_do(
    scene: Scene, tmp_path: Path
) -> None:
    split, whole = (learn("tiny", scene, one, tmp_path) for one in (SPLIT, FEDAVG))
    assert split.accuracies == pytest.approx(whole.accuracies, abs=0.021)


def test_a_curve_of_another_scheme_is_noticed(scene: Scene, tmp_path: Path) -> None:
    curve = learn("tiny", scene, SEQUENTIAL, tmp_path)
    assert prove(scene, PRODUCT, curve, tmp_path, CYCLES).accuracy_gap > 0


def test_in_turns_every_board_trains_once_a_cycle(scene: Scene) -> None:
    planner = SEQUENTIAL.planner(scene, SEQUENTIAL.solve(scene))
    assert isinstance(planner, Turns)
    parts = [planner.plan(round, Knowledge()).assignments for round in (1, 2, 3)]
    assert [[one.device for one in part] for part in parts] == [["fast-1"], ["slow-1"], ["fast-1"]]


def test_shares_are_held_only_where_they_are_static(scene: Scene) -> None:
    static = Contender("optimal", "fp32", "static")
    for contender in (static, SPLIT):
        planner = contender.planner(scene, contender.solve(scene))
        caps = [one.caps for one in planner.plan(1, Knowledge()).assignments]
        assert all((cap is not None) == (contender is static) for cap in caps)
        assert len(perform(scene.lasting(1), planner, scene.setting())) == 1


def test_scheme_and_codec_choose_the_curve() -> None:
    assert [learned_by(one) for one in LEARNED] == list(LEARNED)
    assert learned_by(Contender("common-cut", "fp32", "static")) == learned_by(FEDAVG) == SPLIT


def test_an_accuracy_is_reached_or_not() -> None:
    curve = Curve("tiny", PRODUCT, (0.5, 0.8, 0.7, 0.9))
    assert [curve.cycles_to(one) for one in (0.4, 0.8, 0.85, 0.95)] == [1, 2, 4, None]
