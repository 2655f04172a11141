"""Small simulations whose times can be reckoned by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, evolve, field, frozen

from coordinator.cutting.cut_check import trace_job
from coordinator.cutting.traced_model import TracedModel
from coordinator.fleet import Device, Fleet, FleetName
from coordinator.job import CodecLimits, Evaluation, Input, Job, Model, Training
from coordinator.plan import Assignment, Knowledge, Plan, Planner
from coordinator.planning.solution import Infeasible
from coordinator.profiling.survey import Survey
from coordinator.simulation.casts import Modelled, StandIns
from coordinator.simulation.conditions import BoardConditions, Conditions
from coordinator.simulation.costs import Costs
from coordinator.simulation.ledger import Ledger
from coordinator.simulation.payloads import Payloads
from coordinator.simulation.simulation import SimulatedRecords, fixed_planner
from coordinator.simulation.world import SimulatedWorld
from coordinator.timeline import Incident
from runtime.emulation_spec import Emulation
from runtime.exits import Exit
from runtime.letters import Tensors
from runtime.optimisers import OptimiserSpec
from runtime.virtual import VirtualClock

SERVER_GFLOPS = 20.0
JOB = Job(
    job=Training("simulated", 2, 10, 32, seed=3),
    model=Model("coordinator.zoo.small_cnn:small_cnn"),
    input=Input((1, 28, 28), 10),
    optimiser=OptimiserSpec("sgd", lr=0.1, momentum=0.9),
    evaluation=Evaluation("none.npz"),
    codec=CodecLimits("fp32", "fp32"),
    base=Path(),
)
TRACED: TracedModel = trace_job(JOB)


def board(
    name: str, cut: str = "block2", *, up: float = 20, down: float = 20, step_s: float = 0.05
) -> Device:
    """A device with link rates in Mbit/s."""
    return Device(name, cut=cut, emulate=Emulation(None, step_s, up, down))


def fleet(*devices: Device, timeline: Sequence[Incident] = ()) -> Fleet:
    return Fleet(FleetName("stage"), devices, timeline=tuple(timeline))


@define
class Notes:
    """Records in memory."""

    streams: dict[str, list[dict[str, Any]]] = field(factory=dict)

    def append(self, stream: str, entry: dict[str, Any]) -> None:
        self.streams.setdefault(stream, []).append(entry)


@frozen
class Performance:
    """A finished simulation."""

    world: SimulatedWorld
    notes: Notes

    @property
    def rounds(self) -> list[dict[str, Any]]:
        return self.notes.streams["rounds"]

    @property
    def events(self) -> list[dict[str, Any]]:
        return self.notes.streams["events"]

    def duration_s(self, round: int = 2) -> float:
        """Returns how long a round took; the first one also sends programs and learns rates."""
        duration: float = self.rounds[round - 1]["duration_s"]
        return duration

    def term(self, device: str, term: str, round: int = 2) -> float:
        """Returns a figure of a device's round."""
        value: float = self.rounds[round - 1]["devices"][device][term]
        return value


@frozen
class Weighted:
    """The fleet file's cuts with weights by device."""

    inner: Planner
    weights: Mapping[str, float]

    def plan(self, round: int, knowledge: Knowledge) -> Plan | Infeasible:
        plan = self.inner.plan(round, knowledge)
        assert isinstance(plan, Plan)
        return evolve(plan, assignments=tuple(map(self._weighted, plan.assignments)))

    def _weighted(self, assignment: Assignment) -> Assignment:
        return evolve(assignment, weight=self.weights.get(assignment.device, 1.0))


def perform(
    devices: Sequence[Device],
    *,
    job: Job = JOB,
    conditions: Conditions | None = None,
    weights: Mapping[str, float] | None = None,
    survey: Survey | None = None,
    timeline: Sequence[Incident] = (),
) -> Performance:
    """Runs a simulation of stand-ins to its end."""
    whole = fleet(*devices, timeline=timeline)
    conditions = conditions or Conditions()
    clock, ledger, notes = VirtualClock(), Ledger(), Notes()
    cast = StandIns(job, Payloads(job, TRACED))
    world = SimulatedWorld(
        job,
        whole,
        Weighted(fixed_planner(job, whole, TRACED), weights or {}),
        Modelled(cast, Costs(TRACED, SERVER_GFLOPS), clock, ledger, conditions),
        clock=clock,
        records=SimulatedRecords(notes, ledger, clock),
        run="stage",
        conditions=conditions,
        survey=survey,
    )
    halt = world.run()
    assert halt.code is Exit.OK, halt.reason
    return Performance(world, notes)


def peculiar(name: str, **what: Any) -> Conditions:
    """Conditions of one board alone."""
    return Conditions(board=(BoardConditions(name, **what),))


def weight_of(tensors: Tensors) -> int:
    """Returns the bytes of tensors' data."""
    return sum(len(tensor.data) for tensor in tensors.values())
