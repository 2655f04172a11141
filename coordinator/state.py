"""Everything that the coordinator's protocol remembers, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import field, frozen

from coordinator.duty import Duty
from coordinator.plan import Knowledge, Plan, Planner
from coordinator.profiling.survey import Survey
from coordinator.roll import Roll
from runtime.evolution import evolve
from runtime.ids import DeviceId
from runtime.party import MachineEffect
from runtime.presence import CoordinatorPresence, DevicePresence
from runtime.recipe import Recipe

PROBING_MINOR = 1
"""From this minor version of the protocol on, devices know what a probe is."""

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
    plan: Plan | None = None
    stage: Stage = "gathering"
    round: int = 1
    round_began_at_s: float = 0.0
    positions: Mapping[DeviceId, int] = field(factory=dict)
    peers: Mapping[DeviceId, DevicePresence] = field(factory=dict)
    duties: Roll[DeviceId, Duty] = field(factory=Roll)
    refused: Mapping[DeviceId, str] = field(factory=dict)

    @property
    def presence(self) -> CoordinatorPresence:
        status: Literal["online", "finished"] = "finished" if self.stage == "finished" else "online"
        return CoordinatorPresence(self.incarnation, status, self.run)

    @property
    def known_plan(self) -> Plan | None:
        """The round's plan, where it was made before."""
        return self.logged.get(self.round) or self.replayed.get(self.round)

    @property
    def measures(self) -> Survey | None:
        """The survey, where the plan of the round hangs on it."""
        return None if self.known_plan else self.survey

    @property
    def is_gathered(self) -> bool:
        """Tells whether all devices are there."""
        online = {peer for peer, birth in self.peers.items() if birth.status == "online"}
        return online >= set(self.devices)

    @property
    def present(self) -> frozenset[DeviceId]:
        """The devices that did not say farewell; a lost one is expected to come back."""
        births = self.peers.items()
        return frozenset(peer for peer, birth in births if birth.status != "left")

    @property
    def knowledge(self) -> Knowledge:
        """What the planner of the round may go by."""
        rounds_left = self.recipe.rounds - self.round + 1
        if self.survey is None:
            return Knowledge(previous=self.plan, present=self.present, rounds_left=rounds_left)
        survey = self.survey
        return Knowledge(
            survey.profiles,
            survey.server,
            self.plan,
            self.present,
            rounds_left,
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

    def with_duty(self, duty: Duty) -> CoordinatorState:
        if self.duties.get(duty.device) is duty:
            return self
        return evolve(self, duties=self.duties.having(duty.device, duty))


Outcome = tuple[CoordinatorState, list[MachineEffect]]
