"""A whole fleet in the virtual world: the product's own parties, null executors, no sockets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

import attrs
from attrs import define, field, frozen

from coordinator.cut_codecs import Coding, CutCodecs
from coordinator.due import still_due
from coordinator.machine import CoordinatorState
from coordinator.machine import react as coordinator_react
from coordinator.null import CUTS, NullCheckpoint
from coordinator.null import NullExecutor as NullCoordinator
from coordinator.plan import Plan, Planner
from coordinator.planning.fixed_planner import FixedPlanner
from coordinator.policy import Policy
from coordinator.profiling.recall import recalled
from coordinator.profiling.survey import Survey
from device_agent.machine import AgentState
from device_agent.machine import react as agent_react
from device_agent.null import NullExecutor as NullDevice
from runtime.codecs import CODECS
from runtime.effects import Halt
from runtime.exits import Exit
from runtime.host import Host
from runtime.ids import COORDINATOR, DeviceId
from runtime.letters import ANSWERED
from runtime.optimisers import OPTIMISERS, OptimiserSpec
from runtime.party import Party
from runtime.presence import CoordinatorPresence, DevicePresence
from runtime.recipe import Recipe
from runtime.schedules import ScheduleSpec
from runtime.topics import Fleet
from runtime.transfers.courier import Courier, CourierLimits
from runtime.transport.link_model import Link
from runtime.transport.memory import MemoryBroker, MemoryTransport, Weather
from runtime.virtual import VirtualClock, VirtualWorker
from runtime.wire import encode_json, from_builtin

FLEET = Fleet("tests")
PLAIN = CutCodecs(Coding("fp32", "fp32"))


@define
class Records:
    """A run record in memory; it outlives a coordinator, as a disk would."""

    streams: dict[str, list[dict[str, Any]]] = field(factory=dict)

    def append(self, stream: str, entry: dict[str, Any]) -> None:
        self.streams.setdefault(stream, []).append(entry)

    def keep_rounds(self, count: int, last: Mapping[str, Any]) -> None:
        """Does what that of a run record does."""
        rounds = self.streams.setdefault("rounds", [])
        rounds[:] = [one for one in rounds if one["round"] <= count]
        if last and all(one["round"] != count for one in rounds):
            rounds.append(dict(last))


@frozen
class Life:
    """One process life of a party."""

    host: Host
    transport: MemoryTransport
    party: Party[Any]


class Laboratory(Protocol):
    """What the parties of a world compute with, and what outlives their processes."""

    def coordinator(self) -> tuple[Any, int, Mapping[DeviceId, int]]:
        """Returns an executor, the last closed round, and each device's position after it."""

    def entry(self) -> Mapping[str, Any]:
        """Returns what the checkpoint has for the record of the last closed round."""

    def device(self, name: DeviceId) -> tuple[Any, int]:
        """Returns an executor and the number of samples that the device holds."""


@define
class NullLaboratory:
    """Hash chains instead of weights."""

    held: Mapping[DeviceId, int]
    disk: dict[int, NullCheckpoint] = field(factory=dict)
    flash: dict[DeviceId, dict[str, bytes]] = field(factory=dict)

    def coordinator(self) -> tuple[Any, int, Mapping[DeviceId, int]]:
        done = max(self.disk, default=0)
        positions = dict(self.disk[done].positions) if done else {}
        return NullCoordinator(self.disk), done, positions

    def entry(self) -> Mapping[str, Any]:
        return self.disk[max(self.disk)].entry

    def device(self, name: DeviceId) -> tuple[Any, int]:
        flash = self.flash.setdefault(name, {})
        return NullDevice(name, self.held[name], flash), self.held[name]


class World:
    """Builds, runs, kills and restarts the parties of one fleet."""

    def __init__(
        self,
        names: tuple[DeviceId, ...],
        recipe: Recipe,
        planner: Planner,
        laboratory: Laboratory,
        *,
        weather: Weather | None = None,
        seed: int = 0,
        policy: Policy | None = None,
    ) -> None:
        self.policy = policy or Policy()
        self.clock = VirtualClock()
        self.broker = MemoryBroker(self.clock, weather, seed)
        self.names = names
        self.recipe = recipe
        self.planner = planner
        self.laboratory = laboratory
        self.records = Records()
        self.survey: Survey | None = None
        self.replayed: Mapping[int, Plan] = {}
        self.links: Mapping[DeviceId, Link] = {}
        self.limits = CourierLimits()
        self.incarnations: dict[DeviceId, int] = {}
        self.lives: dict[DeviceId, Life] = {}
        self.halts: dict[DeviceId, Halt] = {}

    def start_all(self) -> None:
        for name in (COORDINATOR, *self.names):
            self.start(name)

    def start(self, name: DeviceId) -> None:
        """Starts a party with the incarnation after its last one."""
        self.incarnations[name] = self.incarnations.get(name, 0) + 1
        self.halts.pop(name, None)
        if name == COORDINATOR:
            self._start_coordinator()
        else:
            self._start_device(name)

    def is_running(self, name: DeviceId) -> bool:
        """Tells whether a party is alive, and has not ended by itself."""
        return name in self.lives and name not in self.halts

    def kill(self, name: DeviceId) -> None:
        """Ends a party as `kill -9` would."""
        life = self.lives.pop(name)
        life.host.abandon()
        life.transport.vanish()

    def restart_broker(self, away_s: float, keeps: bool) -> None:
        """Ends the broker and starts it again; with `keeps` it remembers what was retained."""
        kept = self.broker._retained
        self.broker.kill()

        def revive() -> None:
            if keeps:
                self.broker._retained = kept
            self.broker.revive()

        self.clock.call_at(self.clock.now() + away_s, revive)

    def run(self, until_s: float = 100_000.0) -> Halt:
        """Runs until the coordinator has halted; fails when time or events run out."""
        while COORDINATOR not in self.halts:
            if not self.clock.step() or self.clock.now() > until_s:
                raise AssertionError(f"no end by {self.clock.now():.1f} s of virtual time")
        return self.halts[COORDINATOR]

    @property
    def plans(self) -> dict[int, Plan]:
        """The plan log."""
        return {plan.round: plan for plan in map(_plan, self.records.streams.get("plans", []))}

    @property
    def handled(self) -> int:
        """Events that the living parties have handled."""
        return sum(life.host.handled for life in self.lives.values())

    def _start_coordinator(self) -> None:
        executor, done, positions = self.laboratory.coordinator()
        self.records.keep_rounds(done, self.laboratory.entry())
        if len(self.records.streams.get("rounds", [])) >= self.recipe.rounds:
            self.halts[COORDINATOR] = Halt(Exit.OK, "the job was done already")
            return
        state = CoordinatorState(
            run="run-1",
            incarnation=self.incarnations[COORDINATOR],
            devices=self.names,
            recipe=self.recipe,
            planner=self.planner,
            codecs=frozenset(CODECS),
            logged=self.plans,
            replayed=self.replayed,
            survey=self.survey and recalled(self.survey, self.records.streams.get("events", [])),
            due=still_due(self.plans.values(), self.laboratory.entry()),
            policy=self.policy,
            round=done + 1,
            positions=positions,
        )
        will = CoordinatorPresence(state.incarnation, "lost")
        party = Party(coordinator_react, state, FLEET, COORDINATOR, Courier(self.limits, ANSWERED))
        self._launch(COORDINATOR, party, executor, encode_json(will))

    def _start_device(self, name: DeviceId) -> None:
        executor, held_samples = self.laboratory.device(name)
        birth = DevicePresence(
            name,
            self.incarnations[name],
            "online",
            samples=held_samples,
            codecs=tuple(CODECS),
            optimisers=OPTIMISERS,
        )
        will = DevicePresence(name, birth.incarnation, "lost")
        limits = attrs.evolve(self.limits, takes_ahead=True)
        party = Party(agent_react, AgentState(birth), FLEET, name, Courier(limits, ANSWERED))
        self._launch(name, party, executor, encode_json(will))

    def _launch(self, name: DeviceId, party: Party[Any], executor: Any, will: bytes) -> None:
        transport = self.broker.connect(self.links.get(name))
        host = Host(
            party,
            transport=transport,
            clock=self.clock,
            records=self.records if name == COORDINATOR else Records(),
            make_worker=lambda tell: VirtualWorker(executor, self.clock, tell),
            ended=lambda halt: self.halts.__setitem__(name, halt),
        )
        self.lives[name] = Life(host, transport, party)
        host.start(will)


class NullWorld(World):
    """A fleet of boards that hash instead of learning; some of them train the whole model."""

    def __init__(
        self,
        devices: int,
        rounds: int,
        local_steps: int = 2,
        *,
        weather: Weather | None = None,
        seed: int = 0,
        cuts: tuple[str, ...] = CUTS,
        policy: Policy | None = None,
    ) -> None:
        names = tuple(DeviceId(f"board-{index}") for index in range(devices))
        held = {name: 20 + 7 * index for index, name in enumerate(names)}
        batches = {name: 4 + index % 3 for index, name in enumerate(names)}
        recipe = Recipe(7, rounds, local_steps, OptimiserSpec("sgd", lr=0.1), ScheduleSpec())
        planner = FixedPlanner(batches, PLAIN, lambda *at: _cut(cuts, *at))
        self.null = NullLaboratory(held)
        super().__init__(
            names, recipe, planner, self.null, weather=weather, seed=seed, policy=policy
        )

    @property
    def chain(self) -> bytes:
        """The hash chain after the last round."""
        return self.null.disk[self.recipe.rounds].chain


def _cut(cuts: tuple[str, ...], device: DeviceId, round: int) -> str:
    """Another one in every round."""
    return cuts[(int(device.rpartition("-")[2]) + round) % len(cuts)]


def _plan(entry: dict[str, Any]) -> Plan:
    return from_builtin(Plan, json.loads(json.dumps(entry)))
