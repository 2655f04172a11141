"""Measuring a fleet: every board is probed once, every round of it is noted.

Probes run one after the other on each device, the shallowest cut first. After one that is refused,
deeper cuts are not asked for, since they ask for more; shallower ones are, until it is known which
is the deepest that runs. A new life of the same board goes on where the last one ended:
others wait for what is measured between rounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import attrs
from attrs import field, frozen

from coordinator.duty import Duty
from coordinator.plan import Assignment
from coordinator.profiling.device_profile import DeviceProfile
from coordinator.profiling.findings import Measured, ProbeFailed, ProbeServed
from coordinator.profiling.server_profile import ServerProfile
from coordinator.profiling.time_model import Load, Timed
from coordinator.profiling.tracked import Tracked
from coordinator.tasks import PreparedProbe, PrepareProbe
from runtime.effects import Submit
from runtime.ids import DeviceId
from runtime.letters import AttemptKey, Probe, ProbeReport, RoundOrder
from runtime.machine_effects import MachineEffect, Send
from runtime.machine_events import Traffic
from runtime.presence import DevicePresence
from runtime.recipe import Recipe

PROBE_STEPS = 3
"""The median of three leaves out the first step, which allocates."""
BALLAST_BYTES = 64 * 1024
"""What the first probe carries there and back, so that the link is measured both ways."""
_BALLAST_S = 0.5
LARGEST_BALLAST_BYTES = 2 * 1024 * 1024
PROBE_LIMIT_S = 600.0
"""Probes take seconds, minutes on slow links: who is here and has one for so long hangs."""


class Surveyor(Protocol):
    """Knows the cuts of the model: which to probe, and what each asks of a machine."""

    def probes(self, birth: DevicePresence) -> tuple[Assignment, ...]:
        """Returns the cuts to probe on a device, the shallowest first."""

    def nearer(self, device: DeviceId, profile: DeviceProfile) -> tuple[Assignment, ...]:
        """Returns the probe that tells more of what a device refuses, if there is one to make."""

    def offered(self, profile: DeviceProfile) -> Sequence[object]:
        """Returns what plans may give a device."""

    def part(self, device: DeviceId, cut: str) -> Assignment | None:
        """Returns what is asked of a device at a cut, None where there is no such."""

    def device_load(self, assignment: Assignment) -> Load: ...

    def server_load(self, assignment: Assignment) -> Load: ...


@frozen
class Survey:
    """What was measured, and what is being measured.

    `pending` holds the probes to come by device, the first one in hand; none are left of a
    device that is measured, and one that is not in it has not begun. `asked` holds what was last
    prepared for each device, `preparing` what the server still works on.
    """

    surveyor: Surveyor
    run: str
    recipe: Recipe
    profiles: Mapping[DeviceId, DeviceProfile] = field(factory=dict)
    server: ServerProfile = field(factory=ServerProfile)
    pending: Mapping[DeviceId, tuple[Assignment, ...]] = field(factory=dict)
    asked: Mapping[DeviceId, PrepareProbe] = field(factory=dict)
    preparing: frozenset[PrepareProbe] = frozenset()
    sent_at_s: Mapping[DeviceId, float] = field(factory=dict)
    """When the last probe went to each device, later by as long as the device was lost since."""
    lives: Mapping[DeviceId, int] = field(factory=dict)
    """Of devices that the coordinator before us measured, the life that it did."""
    opening: Tracked = field(factory=Tracked)
    """What passes in a round before the last device has its order, in seconds."""
    closing: Tracked = field(factory=Tracked)
    """What closing a round takes, in seconds."""

    def settled(self, device: DeviceId) -> bool:
        """Tells whether the device is measured, as far as it can be."""
        return self.pending.get(device) == ()

    def forget(self, device: DeviceId) -> Survey:
        """Returns the survey before it knew a device, which may be another board now."""
        rest = {name: profile for name, profile in self.profiles.items() if name != device}
        return attrs.evolve(self._without(device), profiles=rest)

    def reborn(self, device: DeviceId) -> Survey:
        """Returns the survey after the same board began anew, which took a probe in hand along.

        One of which nothing could be measured has another try.
        """
        profile = self.profiles.get(device)
        if profile is None or not profile.probed:
            return self.forget(device)
        return self if self.settled(device) else self._without(device)

    def recalls(self, birth: DevicePresence) -> bool:
        """Tells whether the coordinator before us measured this life of a device."""
        return self.lives.get(birth.device) == birth.incarnation

    def only_settled(self) -> Survey:
        """Returns the survey without what is half measured."""
        done = {name: probes for name, probes in self.pending.items() if not probes}
        return attrs.evolve(self, pending=done)

    def awaits(self, device: DeviceId, run: str, attempt: AttemptKey) -> bool:
        """Tells whether this attempt of a device is the probe in hand."""
        asked = self.asked.get(device)
        hopes = bool(self.pending.get(device)) and asked is not None and asked.attempt == attempt
        return hopes and run == self.run

    def begin(self, birth: DevicePresence, attempt: AttemptKey) -> Outcome:
        """Measures a device as far as it is not; `attempt` is later than all orders it may hold."""
        device = birth.device
        memory_bytes = birth.limits.memory_bytes if birth.limits else math.inf
        known = self.profiles.get(device, DeviceProfile())
        probes = [one for one in self.surveyor.probes(birth) if one.cut not in known.probed]
        profile = attrs.evolve(known, memory_bytes=memory_bytes)
        begun = self._with(device, profile, () if known.refused else tuple(probes))
        return begun._next(device, attempt, birth.incarnation)

    def prepared(
        self, task: PrepareProbe, result: PreparedProbe, position: int, now: float
    ) -> Outcome:
        """Sends a probe that is ready, unless nobody waits for it any more."""
        rested = self._rested(task)
        if not self._in_hand(task):
            return rested, []
        load = self.surveyor.server_load(task.assignment)
        device, cut = task.assignment.device, task.assignment.cut
        noted = attrs.evolve(
            rested,
            server=self.server.with_probe(load, result.worked_s),
            sent_at_s={**self.sent_at_s, device: now},
        )
        served = ProbeServed(device, task.life, cut, result.worked_s)
        probe = Probe(self._order(task, result, position), bytes(self._ballast_bytes(device)))
        return noted, [served.record(), Send(device, probe)]

    def away(self, device: DeviceId, lost_at_s: float, now: float) -> Survey:
        """Returns the survey after a device was lost for a while, in which it cannot answer."""
        sent_at_s = self.sent_at_s.get(device)
        if sent_at_s is None:
            return self
        away_s = now - max(lost_at_s, sent_at_s)
        return attrs.evolve(self, sent_at_s={**self.sent_at_s, device: sent_at_s + away_s})

    def overdue(self, here: Iterable[DeviceId], now: float) -> list[DeviceId]:
        """Returns the devices among those here that had a probe for too long."""
        waiting = set(here) & {name for name, probes in self.pending.items() if probes}
        return sorted(
            name
            for name in waiting
            if self.asked[name] not in self.preparing
            and now - self.sent_at_s[name] >= PROBE_LIMIT_S
        )

    def reported(
        self, device: DeviceId, letter: ProbeReport, traffic: Traffic, now: float
    ) -> Outcome | None:
        """Takes a report and goes on; None if nobody waits for it."""
        probes = self.pending.get(device)
        if not probes or not self.awaits(device, letter.run, letter.attempt):
            return None
        if letter.cut != probes[0].cut:
            return None
        load = self.surveyor.device_load(probes[0])
        profile = self.profiles[device].with_probe(
            letter.cut, load, letter.report, traffic.link, now
        )
        noted, life = self._with(device, profile, probes[1:]), self.asked[device].life
        time = profile.probed[letter.cut].time
        found = Measured(
            device,
            life,
            letter.cut,
            forward_s=time.forward_s,
            backward_s=time.backward_s,
            uplink_bytes_per_s=profile.uplink.value,
            downlink_bytes_per_s=profile.downlink.value,
            round_trip_s=profile.round_trip.value,
        )
        after, effects = noted._next(device, letter.attempt, life)
        return after, [found.record(), *effects]

    def refused(self, device: DeviceId, reason: str) -> Outcome | None:
        """Notes that the cut in hand cannot be run; None if there is none."""
        probes = self.pending.get(device)
        if not probes:
            return None
        cut, asked = probes[0].cut, self.asked[device]
        failed = ProbeFailed(device, asked.life, cut, reason)
        profile = self.profiles[device].with_refusal(cut, reason)
        after, effects = self._with(device, profile, ())._next(device, asked.attempt, asked.life)
        return after, [failed.record(), *effects]

    def unable(self, part: Assignment, reason: str) -> Survey:
        """Returns the survey after a device would not do its part of a round, time and again.

        Its profile learns that only where a shallower cut is left: one more try costs less than a
        board that has no part in the run any more.
        """
        profile = self.profiles.get(part.device, DeviceProfile()).with_refusal(part.cut, reason)
        if not self.settled(part.device) or not self.surveyor.offered(profile):
            return self
        return attrs.evolve(self, profiles={**self.profiles, part.device: profile})

    def failed(self, task: PrepareProbe, reason: str) -> Outcome:
        """Notes a probe that could not even be prepared."""
        rested, device = self._rested(task), task.assignment.device
        outcome = rested.refused(device, reason) if self._in_hand(task) else None
        return outcome or (rested, [])

    def noted(self, duties: Iterable[Duty], began_s: float) -> Survey:
        """Returns the survey after the real steps and transfers of a round begun at `began_s`."""
        duties = tuple(duties)
        profiles, served = dict(self.profiles), []
        opening_s = max(duty.watch.ordered_at_s for duty in duties) - began_s
        now = max(duty.returned_at_s for duty in duties)
        for duty in duties:
            load = self.surveyor.device_load(duty.assignment)
            profile = profiles.get(duty.device, DeviceProfile())
            profile = profile.updated(load, duty.report, duty.link, now)
            profiles[duty.device] = profile.exchanged(
                duty.assignment.cut, duty.exchange_s, duty.report, now
            )
            work = self.surveyor.server_load(duty.assignment)
            served.append(Timed(work, duty.server_step_s))
        return attrs.evolve(
            self,
            profiles=profiles,
            server=self.server.updated(served, now),
            opening=self.opening.updated(opening_s, now),
        )

    def closed(self, closing_s: float, now: float) -> Survey:
        """Returns the survey after a round of which closing took so long."""
        return attrs.evolve(self, closing=self.closing.updated(closing_s, now))

    def _without(self, device: DeviceId) -> Survey:
        rest = {name: probes for name, probes in self.pending.items() if name != device}
        return attrs.evolve(self, pending=rest)

    def _with(
        self, device: DeviceId, profile: DeviceProfile, probes: tuple[Assignment, ...]
    ) -> Survey:
        """Returns the survey with a profile and the probes to come, or that which it asks for."""
        left = probes or self.surveyor.nearer(device, profile)
        return attrs.evolve(
            self,
            profiles={**self.profiles, device: profile},
            pending={**self.pending, device: left},
        )

    def _next(self, device: DeviceId, attempt: AttemptKey, life: int) -> Outcome:
        probes = self.pending[device]
        if not probes:
            return self, []
        task = PrepareProbe(probes[0], attempt, life)
        asked = {**self.asked, device: task}
        return attrs.evolve(self, asked=asked, preparing=self.preparing | {task}), [Submit(task)]

    def _rested(self, task: PrepareProbe) -> Survey:
        return attrs.evolve(self, preparing=self.preparing - {task})

    def _in_hand(self, task: PrepareProbe) -> bool:
        device = task.assignment.device
        return bool(self.pending.get(device)) and self.asked.get(device) == task

    def _ballast_bytes(self, device: DeviceId) -> int:
        """Returns half a second of what probes found of the link: a fast one shows in no less."""
        profile = self.profiles[device]
        if not profile.probed:
            return BALLAST_BYTES
        rate = min(profile.uplink.value, profile.downlink.value)
        return min(LARGEST_BALLAST_BYTES, max(BALLAST_BYTES, int(rate * _BALLAST_S)))

    def _order(self, task: PrepareProbe, result: PreparedProbe, position: int) -> RoundOrder:
        recipe = attrs.evolve(self.recipe, local_steps=PROBE_STEPS)
        prepared = result.prepared
        duty = Duty(task.assignment, task.attempt)
        return duty.order(self.run, recipe, position, prepared.program, prepared.tensors)


Outcome = tuple[Survey, list[MachineEffect]]
