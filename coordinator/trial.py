"""A timeline being played: what is due now, and how things stand with every party after it.

Pure: it is told the time and the round, and tells what changes. A `Stage` makes that true, of
processes in a rehearsal, of modelled boards and links in a simulation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import attrs
from attrs import field, frozen

from coordinator.timeline import Incident
from runtime.emulation_spec import Emulation

_TOLD = ("uplink_mbps", "downlink_mbps", "times", "for_s", "for_rounds")


@frozen
class Standing:
    """How things stand with one party, as far as a timeline has a say.

    Rates are caps on what its link does anyway, None for none; its own rates are divided by
    `link_times`. A link that is cut is silent: nothing passes, and nobody is told.
    """

    running: bool = True
    cut: bool = False
    uplink_mbps: float | None = None
    downlink_mbps: float | None = None
    link_times: float = 1.0
    slow_times: float = 1.0

    @property
    def throttled(self) -> tuple[float | None, float | None, float]:
        """What `throttle` changes."""
        return self.uplink_mbps, self.downlink_mbps, self.link_times

    def after(self, incident: Incident) -> Standing:
        """Returns the standing while the incident is in force."""
        match incident.do:
            case "join":
                return attrs.evolve(self, running=True)
            case "leave" | "kill":
                return attrs.evolve(self, running=False)
            case "cut":
                return attrs.evolve(self, cut=True)
            case "slow":
                return attrs.evolve(self, slow_times=incident.times or 1.0)
            case "throttle":
                return attrs.evolve(
                    self,
                    uplink_mbps=incident.uplink_mbps,
                    downlink_mbps=incident.downlink_mbps,
                    link_times=incident.times or 1.0,
                )
            case "restore":
                return self


@frozen
class Change:
    """An incident that begins, or is `over`, and what that makes of its party."""

    incident: Incident
    over: bool
    before: Standing
    after: Standing

    def entry(self, now: float, round: int) -> dict[str, Any]:
        """Returns what goes on record: trial time in seconds, and the newest round."""
        incident = self.incident
        who = "device" if incident.process is None else "process"
        told = {key: getattr(incident, key) for key in _TOLD}
        return {
            "event": "trial",
            "do": incident.do,
            who: getattr(incident, who),
            "over": self.over,
            "trial_s": now,
            "round": round,
            **{key: value for key, value in told.items() if value is not None},
        }


@frozen
class _Active:
    """An incident in force; with both ends None it lasts."""

    incident: Incident
    until_s: float | None
    until_round: int | None

    def is_over(self, now: float, round: int) -> bool:
        late = self.until_s is not None and self.until_s <= now
        return late or (self.until_round is not None and self.until_round <= round)


Outcome = tuple["Trial", list[Change]]


@frozen
class Trial:
    """The state of a timeline: what is to come, and what is in force. `round` is the newest."""

    pending: tuple[Incident, ...] = ()
    round: int = 0
    _absent: frozenset[str] = frozenset()
    _active: tuple[_Active, ...] = field(default=())

    @classmethod
    def begin(cls, timeline: Sequence[Incident], opened: int = 0) -> Trial:
        """Returns the trial of a run of which `opened` rounds have been opened before.

        What began with an earlier round than the last of them is in force from the start, unless
        it was to last for some seconds alone.
        """
        pending = tuple(one for one in timeline if not _is_past(one, opened))
        return cls(pending, 0, absent_at_first(timeline))

    @property
    def next_s(self) -> float | None:
        """When something is due by the clock, None if nothing is."""
        begins = [one.at_s for one in self.pending if one.at_s is not None]
        ends = [one.until_s for one in self._active if one.until_s is not None]
        return min([*begins, *ends], default=None)

    def standing(self, party: str) -> Standing:
        """Returns how things stand with a party now."""
        standing = Standing(running=party not in self._absent)
        for one in self._active:
            if one.incident.party == party:
                standing = standing.after(one.incident)
        return standing

    def advance(self, now: float, round: int) -> Outcome:
        """Returns the trial at a time, after the opening of `round`, and what has changed."""
        trial = attrs.evolve(self, round=max(round, self.round))
        changes: list[Change] = []
        for one in trial._active:
            if one.is_over(now, trial.round):
                trial = trial._over(one, changes)
        for incident in trial.pending:
            if _is_due(incident, now, trial.round):
                trial = trial._begun(incident, now, changes)
        return trial, changes

    def _over(self, one: _Active, changes: list[Change]) -> Trial:
        active = tuple(other for other in self._active if other is not one)
        return self._changed(attrs.evolve(self, active=active), one.incident, True, changes)

    def _begun(self, incident: Incident, now: float, changes: list[Change]) -> Trial:
        rest = tuple(one for one in self.pending if one is not incident)
        active = (*self._active, self._activated(incident, now))
        if incident.do == "restore":
            active = tuple(one for one in self._active if not _restores(incident, one.incident))
        begun = attrs.evolve(self, pending=rest, active=active)
        return self._changed(begun, incident, False, changes)

    def _activated(self, incident: Incident, now: float) -> _Active:
        until_s = None if incident.for_s is None else now + incident.for_s
        if incident.for_rounds is None:
            return _Active(incident, until_s, None)
        first = self.round if incident.round is None else incident.round
        return _Active(incident, until_s, first + incident.for_rounds)

    def _changed(
        self, trial: Trial, incident: Incident, over: bool, changes: list[Change]
    ) -> Trial:
        before, after = self.standing(incident.party), trial.standing(incident.party)
        changes.append(Change(incident, over, before, after))
        return trial


class Stage(Protocol):
    """Where a trial is played. Parties are devices' ids, COORDINATOR and BROKER."""

    def start(self, party: str) -> None: ...

    def leave(self, party: str) -> None:
        """Asks for an orderly end."""

    def kill(self, party: str) -> None:
        """Ends without a word."""

    def throttle(self, device: str, standing: Standing) -> None:
        """Gives the device's link the rates of the standing."""

    def cut(self, device: str, silent: bool) -> None:
        """Lets nothing pass on the device's link, or lets it pass again."""

    def slow(self, device: str, times: float) -> None:
        """Makes the device take `times` as long for a step as it usually does."""


def perform(change: Change, stage: Stage) -> None:
    """Makes a change true."""
    party, before, after = change.incident.party, change.before, change.after
    if before.throttled != after.throttled:
        stage.throttle(party, after)
    if before.cut != after.cut:
        stage.cut(party, after.cut)
    if before.slow_times != after.slow_times:
        stage.slow(party, after.slow_times)
    if after.running and not before.running:
        stage.start(party)
    elif before.running and not after.running:
        end = stage.kill if change.incident.do == "kill" else stage.leave
        end(party)


def absent_at_first(timeline: Sequence[Incident]) -> frozenset[str]:
    """Returns the devices that are not there when the run begins.

    They are those that join before anything made them go.
    """
    first: dict[str, str] = {}
    for one in timeline:
        if one.do in ("join", "leave", "kill"):
            first.setdefault(one.party, one.do)
    return frozenset(party for party, do in first.items() if do == "join")


def caps_mbps(standing: Standing, own: Emulation) -> tuple[float | None, float | None]:
    """Returns what a link with its own rates is held to up and down, None where nothing is."""
    times = standing.link_times
    return (
        _slowest(standing.uplink_mbps, own.uplink_mbps, times),
        _slowest(standing.downlink_mbps, own.downlink_mbps, times),
    )


def _slowest(cap_mbps: float | None, own_mbps: float | None, times: float) -> float | None:
    caps = [cap_mbps] if cap_mbps is not None else []
    if own_mbps is not None and times != 1.0:
        caps.append(own_mbps / times)
    return min(caps, default=None)


def _is_due(incident: Incident, now: float, round: int) -> bool:
    if incident.at_s is not None:
        return incident.at_s <= now
    return incident.round is not None and incident.round <= round


def _is_past(incident: Incident, opened: int) -> bool:
    earlier = incident.round is not None and incident.round < opened
    return earlier and incident.for_s is not None


def _restores(restore: Incident, other: Incident) -> bool:
    return other.party == restore.party and other.do != "join"
