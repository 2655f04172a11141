"""Everything that the coordinator's protocol remembers, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import field, frozen

from coordinator.dropped import Dropped
from coordinator.duty import Duty
from coordinator.foresight import Foresight
from coordinator.membership import Membership, Standing
from coordinator.plan import Knowledge, Plan, Planner
from coordinator.policy import Policy
from coordinator.profiling.survey import Survey
from coordinator.roll import Roll
from runtime.evolution import evolve
from runtime.ids import DeviceId
from runtime.letters import AttemptKey
from runtime.machine_effects import MachineEffect
from runtime.presence import CoordinatorPresence, DevicePresence
from runtime.recipe import Recipe

PROBING_MINOR = 1
"""From this minor version of the protocol on, devices know what a probe is."""

ANNOUNCE_EVERY_S = 10.0
"""Presence is repeated, so that a broker that lost it learns it again."""
_LOOK_S = 1.0

Stage = Literal["gathering", "surveying", "opening", "training", "closing", "finished"]


@frozen(slots=False)
class CoordinatorState:
    """The state of `coordinator.machine`.

    `logged` holds the plans on record, those of a run that is resumed; `replayed` those of
    another run, to be repeated. A `survey` measures devices for planners that ask for it.
    """

    run: str
    incarnation: int
    devices: tuple[DeviceId, ...]
    recipe: Recipe
    planner: Planner
    codecs: frozenset[str]
    """The codecs that plans may use; a device must know them all."""
    logged: Mapping[int, Plan] = field(factory=dict)
    replayed: Mapping[int, Plan] = field(factory=dict)
    survey: Survey | None = None
    due: frozenset[DeviceId] | None = None
    """Of a run that is resumed: whom its first round waits for. None of a new one: for all."""
    plan: Plan | None = None
    foresight: Foresight | None = None
    stage: Stage = "gathering"
    round: int = 1
    round_began_at_s: float = 0.0
    policy: Policy = field(factory=Policy)
    positions: Mapping[DeviceId, int] = field(factory=dict)
    fleet: Membership = field(factory=Membership)
    duties: Roll[DeviceId, Duty] = field(factory=Roll)
    dropped: tuple[Dropped, ...] = ()
    """The parts of this round that it goes on without."""
    given_up: frozenset[DeviceId] = frozenset()
    """Those that failed at this round as often as they may: it is made, or made again, without."""
    lingering: frozenset[tuple[DeviceId, AttemptKey]] = frozenset()
    """Attempts that were dropped while the server worked for them: it still does."""
    attempts_made: int = 0
    """The highest number of an attempt at this round. Where all of it is made again, one more:
    probes have that, since devices would drop one that was not later than all of their orders."""
    announces_at_s: float = 0.0
    looks_at_s: float = 0.0
    gathers_since_s: float = 0.0
    trains_since_s: float = 0.0
    waits_since_s: float | None = None
    """Since when the round hangs on devices that are not there."""

    @property
    def presence(self) -> CoordinatorPresence:
        status: Literal["online", "finished"] = "finished" if self.stage == "finished" else "online"
        return CoordinatorPresence(self.incarnation, status, self.run)

    @property
    def known_plan(self) -> Plan | None:
        """The round's plan, where it was made before."""
        return self.plan_on_record(self.round)

    def plan_on_record(self, round: int) -> Plan | None:
        return self.logged.get(round) or self.replayed.get(round)

    @property
    def measures(self) -> Survey | None:
        """The survey, where the plan of the round hangs on it."""
        return None if self.known_plan else self.survey

    @property
    def is_gathered(self) -> bool:
        """Tells whether all devices are there that the first round waits for."""
        return self.fleet.here >= (set(self.devices) if self.due is None else self.due)

    @property
    def present(self) -> frozenset[DeviceId]:
        """The devices that a plan may count on: lost ones too where rounds wait for them."""
        there = self.fleet.usable if self.policy.drops else self.fleet.expected
        return there - self.given_up

    @property
    def measured(self) -> frozenset[DeviceId]:
        """Those of them that are measured; all of them, where the plan does not hang on that."""
        if self.measures is None:
            return self.present
        return frozenset(filter(self.measures.settled, self.present))

    @property
    def gathers_for_s(self) -> float | None:
        """How long the first round waits for devices; None is for ever."""
        return self.policy.gathers_for_s(is_resumed=self.due is not None)

    @property
    def looks_every_s(self) -> float:
        """How often the machine looks at the clock."""
        return _LOOK_S if self.policy.hurries else ANNOUNCE_EVERY_S

    @property
    def quorum(self) -> int:
        """How many devices must be present to begin a round."""
        return min(self.policy.least(len(self.devices)), len(self.devices))

    @property
    def closing_quorum(self) -> int:
        """How many results close the round."""
        return min(self.quorum, len(self.plan.assignments) if self.plan else 0)

    @property
    def is_short(self) -> bool:
        """Tells whether too few devices have a part in the round, or a result of it."""
        return len(self.duties) < self.closing_quorum

    @property
    def is_forsaken(self) -> bool:
        """Tells whether the round is beyond hope, and others are there to make it with."""
        return self._is_beyond_hope and len(self.present) >= self.quorum

    @property
    def _is_beyond_hope(self) -> bool:
        """Tells whether too few will ever come home.

        Devices that are lost come back; those that took their leave may, but nobody waits for it.
        """
        coming = self.fleet.expected - self.given_up
        back = sum(gone.device in coming for gone in self.dropped)
        return len(self.duties) + back < self.closing_quorum

    @property
    def awaited(self) -> frozenset[DeviceId]:
        """The devices that the round cannot go on without, and that are not there."""
        here = self.fleet.here
        if self.stage == "gathering":
            return ((self.due or frozenset()) | self._unmeasured) - here
        if self.stage == "surveying":
            is_short = len(self.present) < self.quorum
            absent = set(self.devices) - self.given_up if is_short else set()
            return frozenset((absent | self._unmeasured) - here)
        if self.stage != "training":
            return frozenset()
        at_work = {name for name, duty in self.duties.items() if not duty.is_home}
        gone = {one.device for one in self.dropped} if self.is_short else set()
        # Who never had a part in the round may be one to make it again with.
        others = set(self.devices) if self._is_beyond_hope else set()
        return frozenset((at_work | gone | others) - here - self.given_up)

    @property
    def _unmeasured(self) -> frozenset[DeviceId]:
        """Those that are not measured yet, as far as the round does not begin without them.

        The first one does when it has gathered for long enough, and has a quorum of others.
        """
        measured = self.measured
        goes_on = self.stage == "gathering" and self.gathers_for_s is not None
        is_needed = not goes_on or len(measured) < self.quorum
        return self.present - measured if is_needed else frozenset()

    def standing(self, device: DeviceId) -> Standing:
        """Returns how a device stands."""
        member = self.fleet.get(device)
        if member is None or device in self.fleet.refused:
            return "refused" if device in self.fleet.refused else "absent"
        if not member.is_here:
            return "lost" if member.is_lost else "left"
        duty = self.duties.get(device)
        if self.stage == "training" and duty and not duty.is_home:
            return "training"
        if self.survey and not self.survey.settled(device):
            return "profiling" if device in self.survey.pending else "joining"
        return "ready"

    @property
    def probing(self) -> AttemptKey:
        """The attempt under which devices are measured for the round."""
        return AttemptKey(self.round, self.attempts_made)

    @property
    def home_at_s(self) -> float:
        """When the last result of the round came home, where all have."""
        return max(duty.returned_at_s for duty in self.duties.values())

    def knowledge(self, round: int) -> Knowledge:
        """Returns what the planner of a round may go by, as things stand."""
        rounds_left = self.recipe.rounds - round + 1
        if self.survey is None:
            return Knowledge(previous=self.plan, present=self.present, rounds_left=rounds_left)
        survey = self.survey
        return Knowledge(
            survey.profiles,
            survey.server,
            self.plan,
            self.measured,
            rounds_left,
            survey.opening.value,
            survey.closing.value,
        )

    @property
    def positions_after(self) -> dict[DeviceId, int]:
        """Where each device's data order continues after this round."""
        trained = {device: duty.samples for device, duty in self.duties.items()}
        return {
            device: self.positions.get(device, 0) + trained.get(device, 0)
            for device in self.devices
        }

    def why_not(self, presence: DevicePresence) -> str | None:
        """Returns why a device cannot take part in this job, None if it can."""
        if presence.samples < 1:
            return "it holds no samples"
        if self.recipe.optimiser.name not in presence.optimisers:
            return f"it does not know the optimiser {self.recipe.optimiser.name}"
        if missing := self.codecs - set(presence.codecs):
            return f"it does not know the codec {', '.join(sorted(missing))}"
        if self.survey and presence.protocol < PROBING_MINOR:
            return "its agent is too old to be measured; update it, or take the fixed planner"
        return None

    def without_duty(self, device: DeviceId) -> CoordinatorState:
        """Returns the state of a round in which a device has no part any more."""
        rest = {name: duty for name, duty in self.duties.items() if name != device}
        return evolve(self, duties=Roll(rest))

    def with_duty(self, duty: Duty) -> CoordinatorState:
        return evolve(self, duties=self.duties.having(duty.device, duty))


Outcome = tuple[CoordinatorState, list[MachineEffect]]
