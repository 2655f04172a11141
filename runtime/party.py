"""A party: a pure state machine with transfers under it, ready to be driven by a host.

The machine (`coordinator.machine`, `device_agent.machine`) speaks of letters, sessions and
tasks. Between it and the transport stands what both sides share: topics, decoding, transfers,
counting of what was dropped. No socket, clock or thread is known here.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Generic, TypeVar

from attrs import define, field

from runtime.effects import Effect, Halt, Publish, Record, Submit, Wake
from runtime.errors import WireError
from runtime.events import Failed, Finished, HostEvent, Started, StopAsked, Tick
from runtime.exits import Exit
from runtime.frames import Frame, Pulse
from runtime.ids import COORDINATOR, DeviceId
from runtime.letters import KINDS, LETTERS, ProgramRequest, RoundResult
from runtime.link_meter import LinkMeter
from runtime.machine_effects import (
    Announce,
    Cap,
    CloseSession,
    Drop,
    MachineEffect,
    OpenSession,
    Send,
    Weigh,
)
from runtime.machine_events import (
    Delivered,
    Heard,
    LinkDown,
    LinkUp,
    MachineEvent,
    Received,
    Seen,
    Silent,
    Traffic,
    Unwelcome,
)
from runtime.presence import DevicePresence, Presence
from runtime.ration import Ration
from runtime.topics import (
    COORDINATOR_STATE,
    DEVICE_STATE,
    FRAMES,
    PULSE,
    Direction,
    Fleet,
    Payload,
    Topic,
)
from runtime.transfers.courier import Courier
from runtime.transfers.outputs import Confirmed, Deliver, Output, Rejected, Transmit
from runtime.transport.base import Arrived, Down, Flushed, Up
from runtime.vigil import Rhythm, Vigil
from runtime.wire import decode, decode_json, encode, encode_json

S = TypeVar("S")

_DROPS_RECORDED = 1000
_ANYBODY = "*"
_MQTT_BYTES = 19
"""Fixed header, topic length, packet id, expiry property and PUBACK of one message at QoS 1."""


@lru_cache(maxsize=2048)
def _presence(row: Topic, payload: bytes) -> Any:
    """Everybody says the same every ten seconds. At most 8 MB, by the limit of the topics."""
    return decode_json(row.payload, payload).value


Machine = Callable[[S, MachineEvent, float], tuple[S, list[MachineEffect]]]
"""`(state, event, now) -> (state, effects)`: values in, values out."""


@define
class _Account:
    """What is counted of a peer, frame by frame."""

    sent_bytes: int = 0
    received_bytes: int = 0
    meter: LinkMeter = field(factory=LinkMeter)
    topics: Mapping[Payload, str] = field(factory=dict)
    """Where frames to the peer go."""

    def read(self) -> Traffic:
        return Traffic(self.sent_bytes, self.received_bytes, self.meter.read())


class Party(Generic[S]):
    """One side of the protocol. `handle` is the only way in, its effects the only way out."""

    def __init__(
        self,
        machine: Machine[S],
        state: S,
        fleet: Fleet,
        me: DeviceId,
        courier: Courier,
        rhythm: Rhythm | None = None,
    ) -> None:
        self.state = state
        self._machine = machine
        self._fleet = fleet
        self._me = me
        self._courier = courier
        self._out_way: Direction = "down" if me == COORDINATOR else "up"
        self._in_way: Direction = "up" if me == COORDINATOR else "down"
        self._presence: Presence | None = None
        self._rows = {row.payload: row for row in FRAMES[self._out_way].values()}
        self._accounts: dict[DeviceId, _Account] = {}
        """Of all peers with a session."""
        self._vigil = Vigil(rhythm or Rhythm())
        self._dropped: dict[tuple[str, str], int] = {}
        self._unrecorded: dict[str, int] = {}
        # With lines of a kilobyte at most, 3 MB a day for each kind of event and device.
        self._events = Ration(200, every_s=30.0)
        self._announcements = Ration(30, every_s=1.0)
        self._requests = Ration(30, every_s=1.0)
        self._wakes: list[float] = []
        """When the machine wants to be woken, the earliest first."""
        self._woken_at_s = math.inf
        """When the host wakes us next, as far as we asked for it."""

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """The topic filters this party listens to."""
        fleet = self._fleet
        return fleet.for_coordinator() if self._me == COORDINATOR else fleet.for_device(self._me)

    @property
    def presence_topic(self) -> str:
        """Where this party's birth and will are retained."""
        fleet = self._fleet
        return (
            fleet.coordinator_state() if self._me == COORDINATOR else fleet.device_state(self._me)
        )

    def counts(self) -> dict[str, int]:
        """Returns what was dropped so far, by reason."""
        total = self._courier.counts()
        for (_, reason), count in self._dropped.items():
            total[reason] = total.get(reason, 0) + count
        return total | self._unrecorded

    def handle(self, event: HostEvent, now: float) -> list[Effect]:
        """Takes an event of the world and returns what the world shall do, in order."""
        match event:
            case Arrived():
                effects = self._arrived(event, now)
            case Flushed():
                outputs = self._courier.flushed(event.size_bytes, now)
                if not outputs:
                    return []
                effects = self._carry(outputs, now)
            case Up():
                self._vigil.up(now)
                # The courier forgets what was under way, and others hear of us first.
                resumed = self._courier.connected(now)
                effects = self._announce(now) + self._carry(resumed, now)
                effects += self._react(LinkUp(), now)
            case Down(reason, hopeless=True):
                return [Halt(Exit.BROKER, reason)]
            case Down(reason):
                self._vigil.down()
                self._courier.disconnected()
                effects = self._react(LinkDown(reason), now)
            case Tick():
                effects = self._tick(now)
            case Started() | Finished() | Failed() | StopAsked():
                effects = self._react(event, now)
        due_s = self._due_s(now)
        if due_s < self._woken_at_s:
            self._woken_at_s = due_s
            effects.append(Wake(due_s))
        return effects

    def _react(self, event: MachineEvent, now: float) -> list[Effect]:
        self.state, asked = self._machine(self.state, event, now)
        effects: list[Effect] = []
        for effect in asked:
            match effect:
                case Submit():
                    effects.append(effect)
                case Send():
                    kind, body = KINDS[type(effect.letter)], encode(effect.letter)
                    effects += self._carry(self._courier.send(effect.peer, kind, body, now), now)
                case OpenSession(peer, session, pulses):
                    self._account(peer).meter = LinkMeter()
                    effects += self._carry(self._courier.open(peer, session, now), now)
                    if pulses:
                        self._vigil.watch(peer, now)
                case CloseSession(peer):
                    self._vigil.forget(peer)
                    effects += self._carry(self._courier.close(peer, now), now)
                case Weigh(peer, weight, weight_down):
                    self._courier.weigh(peer, weight, weight_down)
                case Cap(peer, up_bytes_per_s, down_bytes_per_s):
                    self._courier.cap(peer, up_bytes_per_s, down_bytes_per_s)
                case Announce(presence):
                    self._presence = presence
                    effects += self._announce(now)
                case Drop(peer, reason):
                    effects += self._drop(peer, reason)
                case Wake(at_s):
                    insort(self._wakes, at_s)
                case Record("events", entry) if not self._records(entry, now):
                    pass
                case _:
                    effects.append(effect)
        return effects

    def _carry(self, outputs: Iterable[Output], now: float) -> list[Effect]:
        effects: list[Effect] = []
        for output in outputs:
            match output:
                case Transmit():
                    effects.append(self._publish_frame(output.peer, output.frame, now))
                case Deliver():
                    effects += self._delivered(output.peer, output.kind, output.body, now)
                case Confirmed(peer, kind) if LETTERS[kind] is RoundResult:
                    effects += self._react(Delivered(peer), now)
                case Rejected(peer, kind, reason):
                    effects += self._react(Unwelcome(peer, LETTERS[kind], reason), now)
        return effects

    def _delivered(self, peer: DeviceId, kind: str, body: bytes, now: float) -> list[Effect]:
        cls = LETTERS.get(kind)
        if cls is None:
            return self._drop(peer, "letter of unknown kind")
        if cls is ProgramRequest and not self._requests.admits(peer, now=now):
            return self._drop(peer, "too many requests")
        try:
            decoded = decode(cls, body)
        except WireError:
            return self._drop(peer, f"letter does not decode: {kind}")
        noted = self._drop(peer, f"unknown keys in {kind}") if decoded.unknown_keys else []
        received = Received(peer, decoded.value, self._accounts[peer].read())
        return noted + self._react(received, now)

    def _arrived(self, event: Arrived, now: float) -> list[Effect]:
        place = self._fleet.parse(event.topic)
        if place is None:
            return self._drop("?", "foreign topic")
        row, device = place
        peer = device if self._me == COORDINATOR and device else COORDINATOR
        if len(event.payload) > row.limit_bytes:
            return self._drop(peer, f"oversized {row.leaf}")
        if row is COORDINATOR_STATE or row is DEVICE_STATE:
            # Our own birth, which the broker tells us too, is no word of the peer.
            theirs = row.direction == self._in_way and not event.retained
            return self._saw(row, device, event.payload, now, theirs=theirs)
        if row.direction != self._in_way:
            return self._drop(peer, "wrong direction")
        return self._take_frame(row, peer, event, now)

    def _take_frame(self, row: Topic, peer: DeviceId, event: Arrived, now: float) -> list[Effect]:
        try:
            decoded = decode(row.payload, event.payload)
        except WireError:
            return self._drop(peer, f"{row.leaf} does not decode")
        fresh = self._renew(peer, now)
        if row is PULSE:
            return fresh
        frame: Any = decoded.value
        account = self._accounts.get(peer)
        if account:
            account.received_bytes += len(event.topic) + len(event.payload) + _MQTT_BYTES
            account.meter.saw(frame, now)
        effects = self._carry(self._courier.received(peer, frame, now), now)
        return fresh + effects if fresh else effects

    def _renew(self, peer: DeviceId, now: float) -> list[Effect]:
        if not self._vigil.heard(peer, now):
            return []
        return self._carry(self._courier.returned(peer, now), now) + self._react(Heard(peer), now)

    def _saw(
        self, row: Topic, device: DeviceId | None, payload: bytes, now: float, *, theirs: bool
    ) -> list[Effect]:
        if not payload:
            return []
        try:
            presence = _presence(row, payload)
        except WireError:
            return self._drop(device or COORDINATOR, "state does not decode")
        if isinstance(presence, DevicePresence) and presence.device != device:
            return self._drop(device or "?", "state names another device")
        # A will is the broker's word: it says that the peer has none.
        spoke = theirs and presence.status != "lost"
        fresh = self._renew(device or COORDINATOR, now) if spoke else []
        if not self._announcements.admits(device or COORDINATOR, now=now):
            return fresh + self._drop(device or COORDINATOR, "too many announcements")
        return fresh + self._react(Seen(presence), now)

    def _tick(self, now: float) -> list[Effect]:
        self._woken_at_s = math.inf
        effects = self._carry(self._courier.tick(now), now)
        for peer in self._vigil.look(now):
            effects += self._react(Silent(peer), now)
        if self._vigil.must_pulse(now):
            effects += self._pulse(now)
        if self._wakes and self._wakes[0] <= now:
            self._wakes = [at for at in self._wakes if at > now]
            effects += self._react(Tick(), now)
        return effects

    def _due_s(self, now: float) -> float:
        """Returns when we have to be woken, as far as that is before we are woken anyhow."""
        due_s = self._vigil.deadline()
        if self._wakes and self._wakes[0] < due_s:
            due_s = self._wakes[0]
        courier_s = self._courier.deadline(now, self._woken_at_s)
        return due_s if courier_s is None or courier_s > due_s else courier_s

    def _announce(self, now: float) -> list[Effect]:
        if self._presence is None:
            return []
        row = DEVICE_STATE if isinstance(self._presence, DevicePresence) else COORDINATOR_STATE
        payload = encode_json(self._presence)
        self._courier.transmitted(len(payload), now)
        return [Publish(self.presence_topic, payload, row.qos, row.retain, row.expiry_s)]

    def _pulse(self, now: float) -> list[Effect]:
        """Says that we are here: to the one that an agent talks to, or at once to all agents."""
        self._vigil.spoke(now)
        if self._me == COORDINATOR:
            return self._announce(now)
        topic, payload = self._fleet.frame(PULSE, self._me), encode(Pulse())
        self._courier.transmitted(len(payload), now, is_acknowledged=PULSE.qos > 0)
        return [Publish(topic, payload, PULSE.qos, PULSE.retain, PULSE.expiry_s)]

    def _publish_frame(self, peer: DeviceId, frame: Frame, now: float) -> Publish:
        account, payload = self._accounts[peer], encode(frame)
        topic, row = account.topics[type(frame)], self._rows[type(frame)]
        account.sent_bytes += len(topic) + len(payload) + _MQTT_BYTES
        self._courier.transmitted(len(payload), now)
        if self._me != COORDINATOR:
            # The coordinator pulses to all agents at once: what one of them got says nothing.
            self._vigil.spoke(now)
        return Publish(topic, payload, row.qos, row.retain, row.expiry_s)

    def _account(self, peer: DeviceId) -> _Account:
        if peer not in self._accounts:
            device = peer if self._me == COORDINATOR else self._me
            topics = {
                row.payload: self._fleet.frame(row, device)
                for row in FRAMES[self._out_way].values()
            }
            self._accounts[peer] = _Account(topics=topics)
        return self._accounts[peer]

    def _records(self, entry: dict[str, Any], now: float) -> bool:
        """Tells whether an event goes on record: what peers can cause must not fill a disk."""
        kind = entry.get("event", "")
        if self._events.admits(kind, entry.get("device", ""), now=now):
            return True
        reason = f"event not recorded: {kind}"
        self._unrecorded[reason] = self._unrecorded.get(reason, 0) + 1
        return False

    def _drop(self, peer: str, reason: str) -> list[Effect]:
        """Counts; the first of its kind from a peer is put on record."""
        key = (peer, reason)
        if key not in self._dropped and len(self._dropped) >= _DROPS_RECORDED:
            # Names on topics are free to invent; what is remembered of them is not.
            key = (_ANYBODY, reason)
        self._dropped[key] = self._dropped.get(key, 0) + 1
        if self._dropped[key] > 1:
            return []
        return [Record("events", {"event": "dropped", "peer": peer, "reason": reason})]
