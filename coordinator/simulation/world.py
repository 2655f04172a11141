"""All parties of a fleet on one virtual clock: the product's own machines, hosts and transfers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

from attrs import frozen

from coordinator.fleet import Device, Fleet
from coordinator.job import Job
from coordinator.machine import react as coordinator_react
from coordinator.plan import Plan, Planner
from coordinator.profiling.survey import Survey
from coordinator.simulation.budgets import pacing
from coordinator.simulation.conditions import Conditions
from coordinator.simulation.thrift import Shelf, ThriftyCourier, thrifty
from coordinator.state import CoordinatorState
from device_agent.config import Ceilings
from device_agent.machine import AgentState
from device_agent.machine import react as agent_react
from runtime.codecs import CODECS
from runtime.effects import Halt
from runtime.errors import EdgeSplitError
from runtime.executor import Executor
from runtime.host import Host, Records
from runtime.ids import COORDINATOR, DeviceId
from runtime.optimisers import OPTIMISERS
from runtime.party import Party
from runtime.presence import CoordinatorPresence, DevicePresence
from runtime.topics import Fleet as FleetTopics
from runtime.transfers.courier import CourierLimits
from runtime.transport.link_model import Link
from runtime.transport.memory import MemoryBroker, MemoryTransport, Weather
from runtime.virtual import VirtualClock, VirtualWorker
from runtime.wire import encode_json

_NO_WEATHER = Weather(delay_s=(0.0, 0.0))
_LONGEST_ROUND_S = 7 * 24 * 3600.0


class Cast(Protocol):
    """Who computes in a simulated world."""

    def server(self) -> Executor:
        """Returns the coordinator's executor."""

    def board(self, device: Device) -> tuple[Executor, int]:
        """Returns a device's executor and how many samples it holds."""


@frozen
class Nowhere:
    """Boards keep no record."""

    def append(self, stream: str, entry: dict[str, Any]) -> None:
        return


class SimulatedWorld:
    """A fleet, its coordinator and the broker between them, ready to be run once.

    A `survey` measures the modelled boards for planners that go by what is measured; plans that
    are `replayed`, by round, are followed in place of the planner's.
    """

    def __init__(
        self,
        job: Job,
        fleet: Fleet,
        planner: Planner,
        cast: Cast,
        *,
        clock: VirtualClock,
        records: Records,
        run: str,
        conditions: Conditions | None = None,
        survey: Survey | None = None,
        replayed: Mapping[int, Plan] | None = None,
    ) -> None:
        self.clock = clock
        self.broker = MemoryBroker(clock, _NO_WEATHER)
        self.transports: dict[DeviceId, MemoryTransport] = {}
        self._job = job
        self._topics = FleetTopics(fleet.name)
        self._conditions = conditions or Conditions()
        self._shelf = Shelf()
        self._halt: Halt | None = None
        self._survey = survey
        self._replayed = replayed or {}
        self._start_coordinator(fleet, planner, cast, records, run)
        for device in sorted(fleet.devices, key=lambda one: one.id):
            self._start_board(device, cast)
        self._schedule_outages(fleet)

    def run(self) -> Halt:
        """Runs until the coordinator has ended. Raises EdgeSplitError if it never will."""
        limit_s = _LONGEST_ROUND_S * self._job.training.rounds
        while self._halt is None:
            if not self.clock.step() or self.clock.now() > limit_s:
                raise EdgeSplitError(
                    f"the job is not done after {self.clock.now() / 3600:.0f} simulated hours"
                )
        return self._halt

    def _start_coordinator(
        self, fleet: Fleet, planner: Planner, cast: Cast, records: Records, run: str
    ) -> None:
        shared = self._conditions.shared
        state = CoordinatorState(
            run=run,
            incarnation=1,
            devices=tuple(sorted(fleet.ids)),
            recipe=self._job.recipe,
            planner=planner,
            codecs=frozenset({self._job.codec.up, self._job.codec.down}),
            replayed=self._replayed,
            survey=self._survey,
        )
        courier = ThriftyCourier(pacing(shared, self._job), self._shelf)
        party = Party(coordinator_react, state, self._topics, COORDINATOR, courier)
        will = encode_json(CoordinatorPresence(1, "lost", run))
        self._launch(party, COORDINATOR, cast.server(), shared.link(), records, will)

    def _start_board(self, device: Device, cast: Cast) -> None:
        executor, samples = cast.board(device)
        name = DeviceId(device.id)
        birth = DevicePresence(
            name,
            1,
            "online",
            samples=samples,
            codecs=tuple(CODECS),
            optimisers=OPTIMISERS,
            limits=device.emulate.within(Ceilings().announced),
        )
        react = thrifty(agent_react, self._shelf)
        courier = ThriftyCourier(CourierLimits(), self._shelf)
        party = Party(react, AgentState(birth), self._topics, name, courier)
        link = self._conditions.link(device, self._job.training.seed)
        will = encode_json(DevicePresence(name, 1, "lost"))
        self._launch(party, name, executor, link, Nowhere(), will)

    def _launch(
        self,
        party: Party[Any],
        name: DeviceId,
        executor: Executor,
        link: Link,
        records: Records,
        will: bytes,
    ) -> None:
        transport = self.broker.connect(link)
        threads = self._job.server.workers if name == COORDINATOR else 1
        host = Host(
            party,
            transport=transport,
            clock=self.clock,
            records=records,
            make_worker=lambda tell: VirtualWorker(executor, self.clock, tell, threads),
            ended=partial(self._ended, name),
        )
        self.transports[name] = transport
        host.start(will)

    def _ended(self, name: DeviceId, halt: Halt) -> None:
        if name == COORDINATOR:
            self._halt = halt

    def _schedule_outages(self, fleet: Fleet) -> None:
        conditions = self._conditions
        outages: Mapping[DeviceId, Any] = {
            COORDINATOR: conditions.shared.outages,
            **{name: conditions.of(name).outages for name in fleet.ids},
        }
        for name, own in outages.items():
            for one in own:
                cut = partial(self.transports[name].interrupt, one.for_s)
                self.clock.call_at(one.from_s, cut)
