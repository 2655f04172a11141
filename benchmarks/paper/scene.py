"""What is planned and simulated: one model, twelve boards, one shared link."""

from __future__ import annotations

from pathlib import Path

from attrs import evolve, frozen

from coordinator.cutting.cut_check import trace_job
from coordinator.cutting.traced_model import TracedModel
from coordinator.equipment import equip
from coordinator.fleet import Fleet
from coordinator.job import CodecLimits, CodecName, Job
from coordinator.planning.priors import Priors, build_problem, bytes_per_s, with_whole_model
from coordinator.planning.problem import Problem
from coordinator.simulation.conditions import Conditions, Shared
from coordinator.simulation.simulation import Setting
from runtime.config import load_pair

FOLDER = Path(__file__).parent
MODELS = ("vgg16", "resnet18")
BUDGETS_MBPS = (20.0, 100.0, 500.0)
CURVE_BUDGET_MBPS = 100.0
"""Curves are learned with the cuts that are best there; others differ by rounding alone."""
SERVER_GFLOPS = 500.0
"""What one of the server's four workers is taken to train at: a part of an ordinary GPU."""
DELAY_MS = 2.0
LEARNED_WIDTH = 0.125
"""The part of each layer's channels that the models have with which curves are learned."""


@frozen
class Scene:
    """A model on the fleet; `budget_mbps` is what all boards together can send, and receive."""

    job: Job
    fleet: Fleet
    traced: TracedModel
    budget_mbps: float

    @property
    def problem(self) -> Problem:
        """The round as planners see it, every number from the cards."""
        budget = bytes_per_s(self.budget_mbps)
        return build_problem(
            self.job, self.fleet, self.traced, Priors(SERVER_GFLOPS, budget, budget)
        )

    @property
    def problem_with_whole_model(self) -> Problem:
        """The same, with boards that may train the whole model."""
        return with_whole_model(self.problem, self.job, self.fleet, self.traced)

    def setting(self, *, paced: bool = True, learn: bool = False) -> Setting:
        """What the simulator takes for granted."""
        shared = Shared(self.budget_mbps, self.budget_mbps, delay_ms=DELAY_MS, paced=paced)
        return Setting(Conditions(shared=shared), SERVER_GFLOPS, learn)

    def at(self, budget_mbps: float) -> Scene:
        """Returns the scene with another shared link."""
        return evolve(self, budget_mbps=budget_mbps)

    def coded(self, codec: CodecName) -> Scene:
        """Returns the scene with one codec both ways."""
        return evolve(self, job=evolve(self.job, codec=CodecLimits(codec, codec)))

    def lasting(self, rounds: int) -> Scene:
        """Returns the scene with a job of so many rounds."""
        return evolve(self, job=evolve(self.job, job=evolve(self.job.training, rounds=rounds)))

    def stepping(self, local_steps: int) -> Scene:
        """Returns the scene with so many local steps a round."""
        training = evolve(self.job.training, local_steps=local_steps)
        return evolve(self, job=evolve(self.job, job=training))

    def narrow(self, data: Path) -> Scene:
        """Returns the scene with the small variant of the model, to be learned from `data`."""
        model = evolve(self.job.model, args={**self.job.model.args, "width": LEARNED_WIDTH})
        job = evolve(self.job, model=model, base=data)
        return evolve(self, job=job, fleet=evolve(self.fleet, base=data), traced=trace_job(job))


def read_scene(model: str) -> Scene:
    """Reads the job of that name and the fleet; codec and budget are the first of all."""
    path = FOLDER / "fleet.toml"
    job, fleet = load_pair((FOLDER / f"{model}.toml", Job), (path, Fleet))
    scene = Scene(job, equip(fleet, path), trace_job(job), BUDGETS_MBPS[0])
    return scene.coded("fp32")
