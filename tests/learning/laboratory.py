"""The product's executors in the virtual world: real learning while time is virtual."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import define

from coordinator.cut_codecs import Coding, CutCodecs
from coordinator.job import Job
from coordinator.learning.checkpoint import Checkpoint
from coordinator.learning.training import CoordinatorExecutor
from coordinator.planning.fixed_planner import FixedPlanner
from device_agent.program_cache import ProgramCache
from device_agent.training import DeviceExecutor
from runtime.dataset import Augmentation, Dataset
from runtime.exits import Exit
from runtime.ids import DeviceId
from runtime.presence import Limits
from runtime.transport.memory import Weather
from tests.learning.trajectory import Trajectory
from tests.world import World

CutAt = Callable[[DeviceId, int], str]
"""(device, round) -> cut."""

LIMITS = Limits(transfer_bytes=2**30, program_bytes=2**30, memory_bytes=2**34)


@define
class LearningLaboratory:
    """Trains `job` on `shards`; checkpoints and programs lie in `folder`."""

    job: Job
    shards: Mapping[DeviceId, Dataset]
    evaluation: Dataset
    folder: Path
    augmentations: tuple[Augmentation, ...] = ()
    executor: CoordinatorExecutor | None = None

    def coordinator(self) -> tuple[Any, int, Mapping[DeviceId, int]]:
        path = self.folder / "checkpoint.safetensors"
        self.executor = CoordinatorExecutor(self.job, self.evaluation, "run-1", path)
        if not path.exists():
            return self.executor, 0, {}
        checkpoint = Checkpoint.load(path)
        self.executor.restore(checkpoint)
        return self.executor, checkpoint.round, checkpoint.positions

    def entry(self) -> Mapping[str, Any]:
        path = self.folder / "checkpoint.safetensors"
        return Checkpoint.load(path).entry if path.exists() else {}

    def device(self, name: DeviceId) -> tuple[Any, int]:
        cache = ProgramCache(self.folder / name, LIMITS)
        shard = self.shards[name]
        executor = DeviceExecutor(name, shard, cache, augmentations=self.augmentations)
        return executor, len(shard)


@define
class FixedCuts:
    """Cuts by device, and by device from a round on."""

    by_device: Mapping[str, str]
    moved: Mapping[tuple[str, int], str] = {}

    def __call__(self, device: DeviceId, round: int) -> str:
        moves = [(at, cut) for (name, at), cut in self.moved.items() if name == device]
        later = [cut for at, cut in sorted(moves) if at <= round]
        return later[-1] if later else self.by_device[device]


def learning_world(
    laboratory: LearningLaboratory,
    cuts: CutAt,
    *,
    batches: Mapping[DeviceId, int] | None = None,
    weather: Weather | None = None,
    seed: int = 0,
) -> World:
    """Returns a world, not yet started, that trains the laboratory's job."""
    job = laboratory.job
    names = tuple(sorted(laboratory.shards))
    sizes = dict(batches or {name: job.training.batch for name in names})
    planner = FixedPlanner(sizes, CutCodecs(Coding(job.codec.up, job.codec.down)), cuts)
    return World(names, job.recipe, planner, laboratory, weather=weather, seed=seed)


@define
class ProductRun:
    """A run of the product in a world of its own, and what it learnt."""

    world: World
    laboratory: LearningLaboratory

    def finish(self) -> ProductRun:
        """Runs a world that has been started. Fails unless the job is done."""
        halt = self.world.run()
        assert halt.code is Exit.OK, halt.reason
        return self

    @property
    def rounds(self) -> list[dict[str, Any]]:
        """The record's entry of every round."""
        return self.world.records.streams["rounds"]

    @property
    def weights_sha256(self) -> str:
        digest: str = self.rounds[-1]["weights_sha256"]
        return digest

    @property
    def executor(self) -> CoordinatorExecutor:
        """The last coordinator's."""
        assert self.laboratory.executor is not None
        return self.laboratory.executor

    def trajectory(self) -> Trajectory:
        losses = [entry["train_loss"] for entry in self.rounds]
        parameters = {key for key, _ in self.executor.model.named_parameters()}
        return Trajectory.of(losses, self.executor.state, parameters)


def prepare(
    job: Job,
    shards: Mapping[DeviceId, Dataset],
    cuts: CutAt,
    folder: Path,
    *,
    augmentations: tuple[Augmentation, ...] = (),
    **options: Any,
) -> ProductRun:
    """Returns a run whose parties have not been started; `options` are learning_world's."""
    some = next(iter(shards.values())).fit(job.input.shape, job.input.dtype, job.input.classes)
    laboratory = LearningLaboratory(job, shards, some, folder, augmentations)
    return ProductRun(learning_world(laboratory, cuts, **options), laboratory)


def train(
    job: Job, shards: Mapping[DeviceId, Dataset], cuts: CutAt, folder: Path, **options: Any
) -> ProductRun:
    """Trains `job` from beginning to end; `options` are those of `prepare`."""
    run = prepare(job, shards, cuts, folder, **options)
    run.world.start_all()
    return run.finish()
