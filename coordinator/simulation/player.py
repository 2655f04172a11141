"""Plays a fleet's timeline on the virtual clock, and keeps what a restarted coordinator needs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from attrs import define, field

from coordinator.plan import Plan
from coordinator.timeline import Incident
from coordinator.trial import Stage, Trial, perform
from runtime.clock import Clock
from runtime.host import Records
from runtime.ids import DeviceId
from runtime.wire import from_builtin


class Player:
    """Takes the coordinator's records, hands them on, and plays what they and the clock call for.

    `past` is what they say, as on a disk that outlives every coordinator.
    """

    def __init__(
        self, timeline: Sequence[Incident], stage: Stage, clock: Clock, records: Records
    ) -> None:
        self.past = Past()
        self._trial = Trial.begin(timeline)
        self._stage = stage
        self._clock = clock
        self._records = records
        self._called_at_s: float | None = None

    def is_there(self, party: str) -> bool:
        """Tells whether a party runs, as far as the timeline has a say."""
        return self._trial.standing(party).running

    def append(self, stream: str, entry: dict[str, Any]) -> None:
        self._records.append(stream, entry)
        self.past.note(stream, entry)
        if stream == "plans":
            # A party must not be killed while its effects are being carried out.
            self._clock.post(lambda: self._advance(entry["round"]))

    def begin(self) -> None:
        """Begins to play."""
        self._clock.post(lambda: self._advance(0))

    def _advance(self, round: int) -> None:
        now = self._clock.now()
        self._trial, changes = self._trial.advance(now, round)
        for change in changes:
            self._records.append("events", change.entry(now, self._trial.round))
            perform(change, self._stage)
        next_s = self._trial.next_s
        if next_s is not None and next_s != self._called_at_s:
            self._called_at_s = next_s
            self._clock.call_at(next_s, lambda: self._advance(0))


@define
class Past:
    """What a coordinator finds when it is started again."""

    plans: dict[int, Plan] = field(factory=dict)
    done: int = 0
    positions: dict[DeviceId, int] = field(factory=dict)
    closed: dict[str, Any] = field(factory=dict)
    """The entry of the last closed round."""
    events: list[dict[str, Any]] = field(factory=list)

    def note(self, stream: str, entry: dict[str, Any]) -> None:
        """Takes an entry of the record."""
        match stream:
            case "events":
                self.events.append(entry)
            case "plans":
                self.plans[entry["round"]] = from_builtin(Plan, json.loads(json.dumps(entry)))
            case "rounds":
                self.done, self.closed = entry["round"], entry
                for name, part in entry["devices"].items():
                    device = DeviceId(name)
                    self.positions[device] = self.positions.get(device, 0) + part["samples"]
