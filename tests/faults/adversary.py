"""Does to a world what a schedule says, and knows when all of it is over."""

from __future__ import annotations

from collections import Counter
from functools import partial

from coordinator.state import CoordinatorState
from runtime.ids import COORDINATOR, DeviceId
from runtime.presence import PULSING_MINOR
from runtime.transport.memory import Way, Weather
from tests.faults.schedule import BROKER, FLAP_S, Incident, Schedule
from tests.world import World

PATIENCE_S = 15.0
"""One and a half keep-alives: so long a broker bears silence."""
NOTICED_WITHIN_S = 5.5
"""Lease, look and what was under way already: then the coordinator knows of a silent device."""
_STORM = Weather(0.3, 0.2, (0.001, 0.5))
_FLAPS = 4
_FAREWELL_S = 20.0


class Adversary:
    """Strikes when the world has come to an incident's event.

    `healed_s` is when everything that struck so far is over; `tally` counts what was struck.
    """

    def __init__(self, world: World, schedule: Schedule) -> None:
        self.world = world
        self.healed_s = 0.0
        self.tally: Counter[str] = Counter()
        self.unnoticed: list[str] = []
        """Devices that were silent for longer than anybody may take to notice."""
        self._coming = list(reversed(schedule.incidents))
        self._calm = world.broker._weather
        self._broker_back_s = 0.0
        self._blows = 0
        self._is_calm = True
        """All trouble before the last one was long over."""

    def begin(self) -> None:
        """Starts all that are not late."""
        late = {name for one in self._coming if one.kind == "late" for name in one.parties}
        for name in (COORDINATOR, *self.world.names):
            if name not in late:
                self.world.start(name)

    def strike(self, event: int) -> None:
        """Does what is due at an event of the world."""
        while self._coming and self._coming[-1].at_event <= event:
            incident = self._coming.pop()
            self._is_calm = self._blows == 0 or self._now > self.healed_s + PATIENCE_S
            self._blows += 1
            self.tally[f"{incident.name} of {_whom(incident)}"] += 1
            self.tally[f"struck while {self._stage}"] += 1
            self._heals(incident.for_s or 0.0)
            self._do(incident)

    @property
    def spared(self) -> int:
        """Incidents that never came, because the run was over."""
        return len(self._coming)

    @property
    def _now(self) -> float:
        return self.world.clock.now()

    @property
    def _stage(self) -> str:
        state = self._coordinator
        return state.stage if state else "there was no coordinator"

    @property
    def _coordinator(self) -> CoordinatorState | None:
        if not self.world.is_running(COORDINATOR):
            return None
        state = self.world.lives[COORDINATOR].party.state
        assert isinstance(state, CoordinatorState)
        return state

    def _heals(self, after_s: float) -> None:
        self.healed_s = max(self.healed_s, self._now + after_s)

    def _later(self, after_s: float, action: partial[None]) -> None:
        self.world.clock.call_at(self._now + after_s, action)

    def _do(self, incident: Incident) -> None:
        for_s, everybody = incident.for_s or 0.0, incident.parties
        if incident.kind == "storm":
            self._storm(for_s)
        if BROKER in everybody and self._now >= self._broker_back_s:
            self._broker_back_s = self._now + for_s
            self.world.restart_broker(for_s, keeps=incident.at_event % 3 == 0)
        for name in everybody:
            if incident.kind == "late":
                self._later(for_s, partial(self._start, name))
            elif name != BROKER and self.world.is_running(name):
                self._hit(incident, name)

    def _hit(self, incident: Incident, name: DeviceId) -> None:
        life, for_s = self.world.lives[name], incident.for_s or 0.0
        match incident.kind:
            case "kill":
                self.world.kill(name)
            case "power":
                life.transport.silence(PATIENCE_S)
                life.host.abandon()
                del self.world.lives[name]
                self._heals(PATIENCE_S)
            case "cut":
                life.transport.interrupt(for_s)
            case "silence":
                self._silence(name, for_s, incident.ways)
            case "flap":
                silence = partial(self._silence, name, FLAP_S - 2.0, incident.ways)
                for flap in range(_FLAPS):
                    self._later(flap * FLAP_S, silence)
                self._heals(_FLAPS * FLAP_S)
            case "leave" | "hurry":
                life.host.ask_to_stop()
                if incident.kind == "hurry":
                    life.host.ask_to_stop()
        if incident.kind in ("kill", "power", "leave", "hurry") and incident.for_s is not None:
            # One that leaves takes its time: it is looked after until it is gone.
            self._later(for_s, partial(self._start, name, incident.kind in ("leave", "hurry")))
        elif incident.for_s is None:
            self._later(_FAREWELL_S, partial(self._see_off, name))

    def _start(self, name: DeviceId, when_gone: bool = False) -> None:
        self._blows += 1
        if not self.world.is_running(name):
            self.world.start(name)
        elif when_gone:
            self._heals(1.0)
            self._later(1.0, partial(self._start, name, when_gone))

    def _see_off(self, name: DeviceId) -> None:
        """Brings one back that left for good, but whose word was lost: it is waited for."""
        state = self._coordinator
        member = state.fleet.get(name) if state else None
        if state is None or self.world.is_running(name):
            self._later(_FAREWELL_S, partial(self._see_off, name))
        elif member is not None and not member.has_left:
            self._heals(0.0)
            self.world.start(name)

    def _silence(self, name: DeviceId, for_s: float, ways: tuple[Way, ...]) -> None:
        if not self.world.is_running(name):
            return
        self._blows += 1
        transport = self.world.lives[name].transport
        transport.silence(PATIENCE_S, ways)
        self._later(for_s, partial(transport.resume))
        # One that hears nothing is still heard, until its connection is given up.
        mute = name != COORDINATOR and "up" in ways
        if for_s > NOTICED_WITHIN_S and mute and self._is_calm:
            self._later(NOTICED_WITHIN_S, partial(self._look, name, self._blows))

    def _look(self, name: DeviceId, blow: int) -> None:
        """Sees whether a silent device is known to be lost, if nothing else happened since."""
        state = self._coordinator
        member = state.fleet.get(name) if state else None
        if self._blows != blow or member is None or self._now < self._broker_back_s:
            return
        self.tally["silences looked at"] += 1
        pulses = member.birth.protocol >= PULSING_MINOR
        if pulses and not member.is_lost and not member.has_left:
            self.unnoticed.append(f"{name} is silent, and nobody noticed by {self._now:.1f} s")

    def _storm(self, for_s: float) -> None:
        self.world.broker._weather = _STORM
        self._later(for_s, partial(self._calm_down))

    def _calm_down(self) -> None:
        self.world.broker._weather = self._calm


def _whom(incident: Incident) -> str:
    named = {COORDINATOR: "coordinator", BROKER: "broker"}
    kinds = {named.get(name, "device") for name in incident.parties}
    if len(incident.parties) > 2 and len(kinds) > 1:
        return "several"
    return " and ".join(sorted(kinds)) or "all"
