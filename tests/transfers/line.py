"""A hub and its boards, each a Courier, joined by links in virtual time."""

from __future__ import annotations

import random
from collections import Counter

import attrs
from attrs import define, field, frozen

from runtime.frames import Chunk, Frame, Grant, Session
from runtime.ids import COORDINATOR, DeviceId
from runtime.letters import ANSWERED
from runtime.topics import FRAMES, Direction
from runtime.transfers.courier import Courier, CourierLimits
from runtime.transfers.outputs import Deliver, Output, Rejected, Transmit
from runtime.virtual import VirtualClock
from runtime.wire import encode


@define(eq=False)
class Link:
    """Carries frames one after the other at a rate; several parties may share it."""

    bytes_per_s: float = 10e6
    rtt_s: float = 0.01
    free_at_s: float = 0.0

    def carry(self, size_bytes: int, now: float) -> float:
        """Returns when the last byte has left."""
        self.free_at_s = max(now, self.free_at_s) + size_bytes / self.bytes_per_s
        return self.free_at_s


@frozen
class Weather:
    """What happens to each frame."""

    drop: float = 0.0
    duplicate: float = 0.0
    late_s: float = 0.0
    """Frames are late by up to this much, each by its own, and so overtake each other."""


@frozen
class Delivery:
    """A letter that came out at the other end."""

    at_s: float
    sender: DeviceId
    kind: str
    body: bytes


@define(eq=False)
class Party:
    """A courier, and what it told."""

    name: DeviceId
    courier: Courier
    up: bool = True
    life: int = 0
    ticks: set[float] = field(factory=set)


class Line:
    """Every board has a session with the hub. `log` counts frames by type, `bytes` their sizes."""

    def __init__(
        self,
        boards: int = 1,
        *,
        limits: CourierLimits | None = None,
        board_limits: CourierLimits | None = None,
        up: Link | None = None,
        down: Link | None = None,
        weather: Weather | None = None,
        seed: int = 0,
    ) -> None:
        self.clock = VirtualClock()
        self.links = {"up": up or Link(), "down": down or Link()}
        self.own: dict[DeviceId, Link] = {}
        """Ways of single parties, that nobody shares with them."""
        self.weather = weather or Weather()
        self.delivered: list[Delivery] = []
        self.rejected: list[Rejected] = []
        self.log: Counter[str] = Counter()
        self.sent_bytes: Counter[DeviceId] = Counter()
        self.granted_bytes: Counter[DeviceId] = Counter()
        """By the board that sends: granted by the hub and not arrived there yet (if no loss)."""
        self.most_granted_bytes = 0
        self._random = random.Random(seed)
        self.names = tuple(DeviceId(f"board-{index}") for index in range(boards))
        self.parties: dict[DeviceId, Party] = {}
        for name in (COORDINATOR, *self.names):
            agreed = limits if name == COORDINATOR else board_limits or limits
            agreed = attrs.evolve(agreed or CourierLimits(), takes_ahead=name != COORDINATOR)
            self.parties[name] = Party(name, Courier(agreed, ANSWERED))
        for name in self.names:
            self.hub.courier.open(name, Session(1, 1), 0.0)
            self.parties[name].courier.open(COORDINATOR, Session(1, 1), 0.0)
        for party in self.parties.values():
            self._do(party, party.courier.connected(0.0))

    @property
    def hub(self) -> Party:
        return self.parties[COORDINATOR]

    @property
    def now(self) -> float:
        return self.clock.now()

    def post(self, sender: DeviceId, kind: str, body: bytes, to: DeviceId = COORDINATOR) -> None:
        party = self.parties[sender]
        self._do(party, party.courier.send(to, kind, body, self.now))

    def run(self, deliveries: int, until_s: float = 3600.0) -> None:
        """Runs until so many letters have come out; fails when time runs out."""
        while len(self.delivered) < deliveries:
            assert self.clock.step(), "nothing will happen any more"
            assert self.now <= until_s, f"{len(self.delivered)} letters of {deliveries}"

    def run_until(self, at_s: float) -> None:
        done: list[bool] = []
        self.clock.call_at(at_s, lambda: done.append(True))
        while not done:
            self.clock.step()

    def settle(self, until_s: float = 3600.0) -> None:
        """Runs until nothing is on its way and nobody waits for anything."""
        while self.clock.step():
            assert self.now <= until_s, "never comes to rest"

    def interrupt(self, name: DeviceId, outage_s: float) -> None:
        """Cuts a party off: what is on its way is lost."""
        party = self.parties[name]
        party.up = False
        party.life += 1
        party.courier.disconnected()
        life = party.life
        self.clock.call_at(self.now + outage_s, lambda: self._reconnect(party, life))

    def _reconnect(self, party: Party, life: int) -> None:
        if party.life == life:
            party.up = True
            self._do(party, party.courier.connected(self.now))

    def _do(self, party: Party, outputs: list[Output]) -> None:
        for output in outputs:
            match output:
                case Transmit(peer, frame):
                    self._transmit(party, peer, frame)
                case Deliver(peer, kind, body):
                    self.delivered.append(Delivery(self.now, peer, kind, body))
                case Rejected():
                    self.rejected.append(output)
        due = party.courier.deadline(self.now)
        if due is not None and due not in party.ticks:
            party.ticks.add(due)
            self.clock.call_at(due, lambda: self._tick(party, due))

    def _tick(self, party: Party, due: float) -> None:
        party.ticks.discard(due)
        self._do(party, party.courier.tick(self.now))
        again = party.courier.deadline(self.now)
        assert again is None or again > self.now, "a deadline in the past spins the event loop"

    def _transmit(self, party: Party, peer: DeviceId, frame: Frame) -> None:
        way: Direction = "down" if party is self.hub else "up"
        leaf = type(frame).__name__.lower()
        size_bytes = len(encode(frame))
        assert size_bytes <= FRAMES[way][leaf].limit_bytes, f"a {leaf} of {size_bytes} bytes"
        party.courier.transmitted(size_bytes, self.now)
        if not party.up:
            return
        self.log[leaf] += 1
        self.sent_bytes[party.name] += size_bytes
        link = self.own.get(party.name, self.links[way])
        gone_s = link.carry(size_bytes, self.now)
        life = party.life
        self.clock.call_at(gone_s + link.rtt_s, lambda: self._flush(party, life, size_bytes))
        if isinstance(frame, Grant) and party is self.hub:
            self.granted_bytes[peer] += sum(length for _, length in frame.ranges)
            self.most_granted_bytes = max(self.most_granted_bytes, self.granted_bytes.total())
        lost, twice = (self._random.random() for _ in range(2))
        for _ in range(
            0 if lost < self.weather.drop else 2 if twice < self.weather.duplicate else 1
        ):
            late_s = self._random.uniform(0.0, self.weather.late_s)
            receiver = self.parties[peer]
            self._arrive_at(gone_s + link.rtt_s / 2 + late_s, receiver, party.name, frame)

    def _flush(self, party: Party, life: int, size_bytes: int) -> None:
        if party.life == life:
            self._do(party, party.courier.flushed(size_bytes, self.now))

    def _arrive_at(self, at_s: float, receiver: Party, sender: DeviceId, frame: Frame) -> None:
        life = receiver.life

        def arrive() -> None:
            if receiver.up and receiver.life == life:
                if receiver is self.hub and isinstance(frame, Chunk):
                    self.granted_bytes[sender] -= len(frame.data)
                self._do(receiver, receiver.courier.received(sender, frame, self.now))

        self.clock.call_at(at_s, arrive)
