"""All parties of a fleet on one virtual clock: the product's own machines, hosts and transfers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

from attrs import frozen

from coordinator.due import still_due
from coordinator.fleet import Device, Fleet
from coordinator.job import Job
from coordinator.machine import react as coordinator_react
from coordinator.plan import Plan, Planner
from coordinator.profiling.recall import recalled
from coordinator.profiling.survey import Survey
from coordinator.simulation.budgets import pacing
from coordinator.simulation.conditions import Conditions
from coordinator.simulation.player import Player
from coordinator.simulation.thrift import Shelf, ThriftyCourier, thrifty
from coordinator.state import CoordinatorState
from coordinator.timeline import BROKER
from coordinator.trial import Standing
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
from runtime.vigil import UNHURRIED, Rhythm
from runtime.virtual import VirtualClock, VirtualWorker
from runtime.wire import encode_json

_NO_WEATHER = Weather(delay_s=(0.0, 0.0))
_PATIENCE_S = 15.0
"""One and a half keep-alives of an agent: so long nobody notices that a link is silent."""
_BYTES_PER_MEGABIT = 1e6 / 8
_LONGEST_ROUND_S = 7 * 24 * 3600.0


class Cast(Protocol):
    """Who computes in a simulated world."""

    def server(self) -> Executor:
        """Returns the coordinator's executor."""

    def board(self, device: Device) -> tuple[Executor, int]:
        """Returns a device's executor and how many samples it holds."""


class Company(Cast, Protocol):
    """A cast whose boards can be made slower while they work."""

    def slow(self, device: DeviceId, times: float) -> None:
        """Makes the device take `times` as long for a step as it usually does."""


@frozen
class Nowhere:
    """Boards keep no record."""

    def append(self, stream: str, entry: dict[str, Any]) -> None:
        return


@frozen
class Life:
    """One process life of a party."""

    host: Host
    transport: MemoryTransport


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
        cast: Company,
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
        self._job = job
        self._fleet = fleet
        self._planner = planner
        self._cast = cast
        self._run = run
        self._topics = FleetTopics(fleet.name)
        self._conditions = conditions or Conditions()
        self._shelf = Shelf()
        self._halt: Halt | None = None
        self._survey = survey
        self._replayed = replayed or {}
        self._lives: dict[str, Life] = {}
        self._incarnations: Counter[str] = Counter()
        self._silent: set[str] = set()
        self._links = self._laid_links()
        self._rhythm = self._fitting_rhythm()
        self._player = Player(fleet.timeline, self, clock, records)
        for party in (COORDINATOR, *sorted(fleet.ids)):
            if self._player.is_there(party):
                self.start(party)
        self._schedule_outages()
        self._player.begin()

    def run(self) -> Halt:
        """Runs until the coordinator has ended. Raises EdgeSplitError if it never will."""
        limit_s = _LONGEST_ROUND_S * self._job.training.rounds
        while self._halt is None:
            if not self.clock.step() or self.clock.now() > limit_s:
                raise EdgeSplitError(
                    f"the job is not done after {self.clock.now() / 3600:.0f} simulated hours"
                )
        return self._halt

    def start(self, party: str) -> None:
        """Starts a party with the incarnation after its last one, or the broker."""
        if party == BROKER:
            self.broker.revive()
            return
        self._incarnations[party] += 1
        if party == COORDINATOR:
            self._start_coordinator()
        else:
            self._start_board(self._fleet.device(party))

    def leave(self, party: str) -> None:
        self._lives[party].host.ask_to_stop()

    def kill(self, party: str) -> None:
        if party == BROKER:
            self.broker.kill()
            return
        life = self._lives.pop(party)
        life.host.abandon()
        life.transport.vanish()

    def throttle(self, device: str, standing: Standing) -> None:
        up, down = (_bytes_per_s(one) for one in (standing.uplink_mbps, standing.downlink_mbps))
        self._links[device].up.throttle(up, standing.link_times)
        self._links[device].down.throttle(down, standing.link_times)

    def cut(self, device: str, silent: bool) -> None:
        life = self._lives.get(device)
        if silent:
            self._silent.add(device)
            if life is not None:
                life.transport.silence(_PATIENCE_S)
        else:
            self._silent.discard(device)
            if life is not None:
                life.transport.resume()

    def slow(self, device: str, times: float) -> None:
        self._cast.slow(DeviceId(device), times)

    def _start_coordinator(self) -> None:
        past = self._player.past
        incarnation = self._incarnations[COORDINATOR]
        state = CoordinatorState(
            run=self._run,
            incarnation=incarnation,
            devices=tuple(sorted(self._fleet.ids)),
            recipe=self._job.recipe,
            planner=self._planner,
            codecs=self._job.codec.used,
            policy=self._job.policy,
            logged=dict(past.plans),
            due=still_due(past.plans.values(), past.closed),
            replayed=self._replayed,
            survey=self._survey and recalled(self._survey, past.events),
            round=past.done + 1,
            positions=dict(past.positions),
        )
        courier = ThriftyCourier(pacing(self._conditions.shared, self._job), self._shelf)
        party = Party(coordinator_react, state, self._topics, COORDINATOR, courier, self._rhythm)
        will = encode_json(CoordinatorPresence(incarnation, "lost", self._run))
        self._launch(party, COORDINATOR, self._cast.server(), self._player, will)

    def _start_board(self, device: Device) -> None:
        executor, samples = self._cast.board(device)
        name = DeviceId(device.id)
        incarnation = self._incarnations[name]
        birth = DevicePresence(
            name,
            incarnation,
            "online",
            samples=samples,
            codecs=tuple(CODECS),
            optimisers=OPTIMISERS,
            limits=device.emulate.instead_of(Ceilings().announced),
        )
        react = thrifty(agent_react, self._shelf)
        courier = ThriftyCourier(CourierLimits(takes_ahead=True), self._shelf)
        party = Party(react, AgentState(birth), self._topics, name, courier, self._rhythm)
        will = encode_json(DevicePresence(name, incarnation, "lost"))
        self._launch(party, name, executor, Nowhere(), will)

    def _launch(
        self, party: Party[Any], name: DeviceId, executor: Executor, records: Records, will: bytes
    ) -> None:
        link = self._links[name]
        link.clear(self.clock.now())
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
        self._lives[name] = Life(host, transport)
        if name in self._silent:
            transport.silence(_PATIENCE_S)
        host.start(will)

    def _ended(self, name: DeviceId, halt: Halt) -> None:
        if name == COORDINATOR:
            self._halt = halt

    def _laid_links(self) -> dict[str, Link]:
        """Returns every party's link, which outlives its processes."""
        conditions, seed = self._conditions, self._job.training.seed
        links = {one.id: conditions.link(one, seed) for one in self._fleet.devices}
        return {COORDINATOR: conditions.shared.link(), **links}

    def _fitting_rhythm(self) -> Rhythm:
        """Pulses are most of what happens in slow fleets, and matter where somebody is cut off."""
        cut_off = self._fleet.timeline or any(self._outages().values())
        return Rhythm() if cut_off else UNHURRIED

    def _outages(self) -> Mapping[str, Any]:
        conditions = self._conditions
        return {
            COORDINATOR: conditions.shared.outages,
            **{name: conditions.of(name).outages for name in self._fleet.ids},
        }

    def _schedule_outages(self) -> None:
        for name, own in self._outages().items():
            for one in own:
                self.clock.call_at(one.from_s, partial(self._interrupt, name, one.for_s))

    def _interrupt(self, name: str, for_s: float) -> None:
        if name in self._lives:
            self._lives[name].transport.interrupt(for_s)


def _bytes_per_s(mbps: float | None) -> float | None:
    return None if mbps is None else mbps * _BYTES_PER_MEGABIT
