"""A whole fleet in the virtual world: the product's own parties, null executors, no sockets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field, frozen

from coordinator.fixed_planner import FixedPlanner
from coordinator.machine import CoordinatorState
from coordinator.machine import react as coordinator_react
from coordinator.null import NullCheckpoint
from coordinator.null import NullExecutor as NullCoordinator
from coordinator.plan import Assignment, Plan
from device_agent.machine import AgentState
from device_agent.machine import react as agent_react
from device_agent.null import NullExecutor as NullDevice
from runtime.effects import Halt
from runtime.host import Host
from runtime.ids import COORDINATOR, DeviceId
from runtime.optimisers import OptimiserSpec
from runtime.party import Party
from runtime.presence import CoordinatorPresence, DevicePresence
from runtime.recipe import Recipe
from runtime.schedules import ScheduleSpec
from runtime.topics import Fleet
from runtime.transfers.courier import Courier, CourierLimits
from runtime.transport.memory import MemoryBroker, MemoryTransport, Weather
from runtime.virtual import VirtualClock, VirtualWorker
from runtime.wire import encode_json

FLEET = Fleet("tests")
CUTS = ("shallow", "middle", "deep")


@define
class Records:
    """A run record in memory; it outlives a coordinator, as a disk would."""

    streams: dict[str, list[dict[str, Any]]] = field(factory=dict)

    def append(self, stream: str, entry: dict[str, Any]) -> None:
        self.streams.setdefault(stream, []).append(entry)


@frozen
class Life:
    """One process life of a party."""

    host: Host
    transport: MemoryTransport
    party: Party[Any]


class World:
    """Builds, runs, kills and restarts the parties of one fleet."""

    def __init__(
        self,
        devices: int,
        rounds: int,
        local_steps: int = 2,
        *,
        weather: Weather | None = None,
        seed: int = 0,
        held_samples: Callable[[int], int] = lambda index: 20 + 7 * index,
    ) -> None:
        self.clock = VirtualClock()
        self.broker = MemoryBroker(self.clock, weather, seed)
        self.names = tuple(DeviceId(f"board-{index}") for index in range(devices))
        self.held = {name: held_samples(index) for index, name in enumerate(self.names)}
        self.recipe = Recipe(7, rounds, local_steps, OptimiserSpec("sgd", lr=0.1), ScheduleSpec())
        self.disk: dict[int, NullCheckpoint] = {}
        self.flash: dict[DeviceId, dict[str, bytes]] = {name: {} for name in self.names}
        self.records = Records()
        self.incarnations: dict[DeviceId, int] = {}
        self.lives: dict[DeviceId, Life] = {}
        self.halts: dict[DeviceId, Halt] = {}

    def start_all(self) -> None:
        for name in (COORDINATOR, *self.names):
            self.start(name)

    def start(self, name: DeviceId) -> None:
        """Starts a party with the incarnation after its last one."""
        self.incarnations[name] = self.incarnations.get(name, 0) + 1
        if name == COORDINATOR:
            self._start_coordinator()
        else:
            self._start_device(name)

    def kill(self, name: DeviceId) -> None:
        """Ends a party as `kill -9` would."""
        life = self.lives.pop(name)
        life.host.abandon()
        life.transport.vanish()

    def run(self, until_s: float = 100_000.0) -> Halt:
        """Runs until the coordinator has halted; fails when time or events run out."""
        while COORDINATOR not in self.halts:
            if not self.clock.step() or self.clock.now() > until_s:
                raise AssertionError(f"no end by {self.clock.now():.1f} s of virtual time")
        return self.halts[COORDINATOR]

    @property
    def chain(self) -> bytes:
        """The hash chain after the last round."""
        return self.disk[self.recipe.rounds].chain

    @property
    def handled(self) -> int:
        """Events that the living parties have handled."""
        return sum(life.host.handled for life in self.lives.values())

    def _start_coordinator(self) -> None:
        done = max(self.disk, default=0)
        positions = dict(self.disk[done].positions) if done else {}
        state = CoordinatorState(
            run="run-1",
            incarnation=self.incarnations[COORDINATOR],
            devices=self.names,
            recipe=self.recipe,
            planner=FixedPlanner(
                {name: 4 + index % 3 for index, name in enumerate(self.names)}, "fp32", "fp32", _cut
            ),
            codecs=frozenset({"fp32"}),
            logged={plan.round: plan for plan in map(_plan, self.records.streams.get("plans", []))},
            round=done + 1,
            positions=positions,
        )
        will = CoordinatorPresence(state.incarnation, "lost")
        executor = NullCoordinator(self.disk)
        self._launch(COORDINATOR, Party(coordinator_react, state, FLEET, COORDINATOR, _courier()),
                     executor, encode_json(will))  # fmt: skip

    def _start_device(self, name: DeviceId) -> None:
        birth = DevicePresence(
            name,
            self.incarnations[name],
            "online",
            samples=self.held[name],
            codecs=("fp32",),
            optimisers=("sgd",),
        )
        will = DevicePresence(name, birth.incarnation, "lost")
        executor = NullDevice(name, self.held[name], self.flash[name])
        party = Party(agent_react, AgentState(birth), FLEET, name, _courier())
        self._launch(name, party, executor, encode_json(will))

    def _launch(self, name: DeviceId, party: Party[Any], executor: Any, will: bytes) -> None:
        transport = self.broker.connect()
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


def _courier() -> Courier:
    return Courier(CourierLimits())


def _cut(device: DeviceId, round: int) -> str:
    return CUTS[(len(device) + int(device[-1]) + round) % 3]


def _plan(entry: dict[str, Any]) -> Plan:
    assignments = tuple(Assignment(**facts) for facts in entry["assignments"])
    return Plan(entry["round"], entry["planner"], assignments)
