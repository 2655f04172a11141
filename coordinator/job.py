"""The job file: what to learn and how, for any fleet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from attrs import field, frozen
from attrs.validators import deep_iterable, optional

from coordinator.planning.genetic import is_installed
from coordinator.policy import Policy
from runtime.config_rules import (
    Rejected,
    above,
    at_least,
    data_source,
    entry_point,
    is_entry_point,
    legal_id,
    not_empty,
)
from runtime.config_walk import FOLDER, Fault
from runtime.optimisers import OptimiserSpec
from runtime.recipe import Recipe
from runtime.schedules import ScheduleSpec

CROSS_ENTROPY = "cross-entropy"
"""The one loss that needs no file of the user's."""

PlannerName = Literal[
    "fixed",
    "optimal",
    "alternating",
    "equal-bandwidth",
    "common-cut",
    "unpaced",
    "full-local",
    "sequential",
    "genetic",
]
CodecName = Literal["fp32", "fp16", "int8"]


def _loss(_instance: Any, _attribute: Any, value: str) -> None:
    if value != CROSS_ENTROPY and not is_entry_point(value):
        raise Rejected(
            f"there is no loss {value!r}", f"write {CROSS_ENTROPY!r} or 'file.py:function'"
        )


@frozen
class Training:
    """[job]: the run's name and its length. `batch` is in samples, for each device."""

    name: str = field(validator=legal_id)
    rounds: int = field(validator=at_least(1))
    local_steps: int = field(validator=at_least(1))
    batch: int = field(validator=at_least(1))
    seed: int = field(default=0, validator=at_least(0))


@frozen
class Model:
    """[model]: `factory`, called with `args` by keyword, returns a `torch.nn.Module`."""

    factory: str = field(validator=entry_point)
    args: Mapping[str, Any] = field(factory=dict)


@frozen
class Input:
    """[input]: one sample as the model takes it, without the batch axis."""

    shape: tuple[int, ...] = field(validator=[not_empty, deep_iterable(at_least(1))])
    classes: int = field(validator=at_least(2))
    dtype: Literal["float32", "int64"] = "float32"


@frozen
class Loss:
    """[loss]: a built-in name, or a function that returns the loss module."""

    factory: str = field(default=CROSS_ENTROPY, validator=_loss)


@frozen
class CodecFloor:
    """[[codec.floors]]: from a cut on towards the output, until the next; None is [codec]'s own."""

    cut: str = field(validator=not_empty)
    up: CodecName | None = None
    down: CodecName | None = None


@frozen
class CodecLimits:
    """[codec]: the coarsest codecs of smashed data (`up`) and cut gradients (`down`).

    Planners take no finer ones: they cost bytes, and would change what is learnt.
    """

    up: CodecName = "int8"
    down: CodecName = "int8"
    floors: tuple[CodecFloor, ...] = ()

    @property
    def used(self) -> frozenset[CodecName]:
        """All that a device may be told to use."""
        floors = {codec for one in self.floors for codec in (one.up, one.down) if codec}
        return frozenset({self.up, self.down} | floors)


@frozen
class Planner:
    """[planner]: who chooses the cuts; `fixed` takes them from the fleet file.

    The others measure devices and plan every round. Budgets are what all devices share, in 1e6
    bits a second, None where only their own links count. A cut moves only where that makes a
    round shorter by the part `hysteresis`. Shares that a device does not use are `lent`, or are
    `static`: the paper's, held by hard caps.
    """

    name: PlannerName = "fixed"
    shares: Literal["lent", "static"] = "lent"
    budget_up_mbps: float | None = field(default=None, validator=optional(above(0)))
    budget_down_mbps: float | None = field(default=None, validator=optional(above(0)))
    hysteresis: float = field(default=0.05, validator=at_least(0))


@frozen
class CutLimits:
    """[cuts]: the shallowest cut that the job allows, by name; None allows all.

    With `whole`, every planner may let a device train the whole model; else `full-local` alone.
    """

    minimum: str | None = field(default=None, validator=optional(not_empty))
    whole: bool = False


@frozen
class Evaluation:
    """[evaluation]: the data after each round's averaging. `batch` is in samples."""

    source: str = field(validator=data_source)
    batch: int = field(default=100, validator=at_least(1))


@frozen
class Server:
    """[server]: how the server segments run. `memory_mb` is in 1e6 bytes.

    None is what is free when the run begins, and in what is not run, but simulated or foretold,
    no limit: that must not hang on the machine.
    """

    mode: Literal["replicas"] = "replicas"
    workers: int = field(default=1, validator=at_least(1))
    threads_per_worker: int = field(default=1, validator=at_least(1))
    memory_mb: float | None = field(default=None, validator=optional(above(0)))


@frozen
class Job:
    """A whole job file. Relative paths in it start at `base`, the folder it lies in."""

    training: Training = field(alias="job")
    model: Model
    input: Input
    optimiser: OptimiserSpec
    evaluation: Evaluation
    schedule: ScheduleSpec = field(factory=ScheduleSpec)
    loss: Loss = field(factory=Loss)
    codec: CodecLimits = field(factory=CodecLimits)
    planner: Planner = field(factory=Planner)
    cuts: CutLimits = field(factory=CutLimits)
    server: Server = field(factory=Server)
    policy: Policy = field(factory=Policy)
    base: Path = field(factory=Path, metadata=FOLDER)

    @property
    def name(self) -> str:
        """The name of the run."""
        return self.training.name

    @property
    def recipe(self) -> Recipe:
        """The part of the job that both sides of a cut learn by."""
        return Recipe(
            seed=self.training.seed,
            rounds=self.training.rounds,
            local_steps=self.training.local_steps,
            optimiser=self.optimiser,
            schedule=self.schedule,
        )

    def faults(self) -> Iterator[Fault]:
        """Yields files and packages that are missing, and a warm-up that never ends."""
        for key, text in (
            ("model.factory", self.model.factory),
            ("loss.factory", self.loss.factory),
        ):
            place = text.rpartition(":")[0]
            if place.endswith(".py") and not (self.base / place).is_file():
                yield Fault(key, f"there is no file {place}", f"put it in {self.base}")
        if self.planner.name == "genetic" and not is_installed():
            yield Fault(
                "planner.name",
                "genetic needs pymoo, which is not installed",
                "run pip install 'edgesplit[genetic]', or take another planner",
            )
        steps = self.training.rounds * self.training.local_steps
        if self.schedule.warmup_steps >= steps:
            yield Fault(
                "schedule.warmup_steps",
                f"the whole job has {steps} steps",
                "write fewer, or more rounds",
            )
