"""Between rounds and beside them: devices come, fall silent and leave; the next round opens."""

from __future__ import annotations

import attrs

from coordinator.course import drop, happened, reborn, settle
from coordinator.foresight import Foresight
from coordinator.membership import Member, rest_s
from coordinator.plan import Plan
from coordinator.planning.solution import Infeasible
from coordinator.profiling.survey import PROBE_LIMIT_S
from coordinator.profiling.survey import Outcome as Surveyed
from coordinator.roll import Roll
from coordinator.state import CoordinatorState, Outcome
from coordinator.tasks import OpenRound
from runtime.effects import Halt, Record, Submit
from runtime.exits import Exit
from runtime.frames import Session
from runtime.ids import DeviceId
from runtime.machine_effects import CloseSession, MachineEffect, OpenSession
from runtime.presence import PULSING_MINOR, DevicePresence

_NOT_OURS = "it is not in the fleet file"


def saw_device(state: CoordinatorState, presence: DevicePresence, now: float) -> Outcome:
    """Takes a birth, a will or a farewell."""
    device = presence.device
    member = state.fleet.get(device)
    if member is None:
        if presence.status != "online":
            return state, []
        ours = device in state.devices
        return _born(state, presence, now) if ours else _refuse(state, device, _NOT_OURS)
    known = member.birth
    if presence.incarnation < known.incarnation:
        return state, _contested(member, presence)
    if presence.incarnation > known.incarnation and presence.status == "online":
        return _born(state, presence, now)
    if member.has_left and presence.incarnation == known.incarnation:
        return state, []  # a late word of a life that is over
    if presence.status != "online":
        # Perhaps of a life whose birth never came to us: the birth, if it comes yet, is news.
        presence = attrs.evolve(known, status=presence.status)
    if known == presence and not member.silent:
        return state, []
    return _stands(state, member.told(presence, now), now)


def _contested(member: Member, presence: DevicePresence) -> list[MachineEffect]:
    """Tells that two boards bear one name; the later start stays, as `docs/operating.md` says."""
    if presence.status != "online" or not member.is_here:
        return []
    facts = {"incarnation": presence.incarnation, "later": member.birth.incarnation}
    reason = "two agents bear this name; the one that started later stays"
    return [happened("contested", device=presence.device, reason=reason, **facts)]


def _born(state: CoordinatorState, birth: DevicePresence, now: float) -> Outcome:
    """Begins a session with a new life of a device, and its part of the round again."""
    device = birth.device
    refusal = state.why_not(birth)
    if refusal:
        return _refuse(state, device, refusal)
    fleet, survey, known = state.fleet.welcoming(device), state.survey, state.fleet.get(device)
    if survey:
        again = known.comes_back_as(birth) if known else survey.recalls(birth)
        survey = survey.reborn(device) if again else survey.forget(device)
    state = attrs.evolve(state, survey=survey, fleet=fleet)
    session = Session(state.incarnation, birth.incarnation)
    opened = OpenSession(device, session, birth.protocol >= PULSING_MINOR)
    member = fleet.get(device) or Member(birth)
    state, effects = _stands(state, member.told(birth, now), now)
    state, more = reborn(state, device)
    return state, [effects[0], opened, *effects[1:], *more]


def _refuse(state: CoordinatorState, device: DeviceId, reason: str) -> Outcome:
    """Tells the operator once; the device may announce itself for ever."""
    fleet = state.fleet.refusing(device, reason)
    if fleet is None:
        return state, []
    return attrs.evolve(state, fleet=fleet), [happened("refused", device=device, reason=reason)]


def leased(state: CoordinatorState, device: DeviceId, silent: bool, now: float) -> Outcome:
    """Notes that the lease of a device ran out, or was renewed after all."""
    member = state.fleet.get(device)
    if member is None or member.has_left:
        return state, []
    state, effects = _stands(state, member.heard(silent, now), now)
    if silent and state.policy.drops:
        # By its will alone a device is lost, but not yet dropped: links blink.
        state, more = drop(state, device, "it is lost", now)
        effects += more
    return state, effects


def _stands(state: CoordinatorState, member: Member, now: float) -> Outcome:
    """Takes a member as it now is, and tells of what that changes."""
    birth = member.birth
    known = state.fleet.get(birth.device)
    state = attrs.evolve(state, fleet=state.fleet.having(member))
    effects = _told(known, member)
    if member.has_left:
        state, more = drop(state, birth.device, "it took its leave", now)
        return state, [*effects, CloseSession(birth.device), *more]
    if member.is_here and not (known and known.is_here):
        if known and known.lost_at_s is not None and state.survey:
            survey = state.survey.away(birth.device, known.lost_at_s, now)
            state = attrs.evolve(state, survey=survey)
        state, more = settle(state)
        effects += more
    return state, effects


def _told(known: Member | None, member: Member) -> list[MachineEffect]:
    birth = member.birth
    stays = member.is_lost or member.has_left or not birth.leaving
    word = "leaving" if not stays else "lost" if member.is_lost else birth.status
    facts = {"device": birth.device, "incarnation": birth.incarnation}
    effects: list[MachineEffect] = []
    if (
        known is None
        or known.birth.incarnation != birth.incarnation
        or (known.is_lost, known.birth.leaving, known.has_left)
        != (member.is_lost, birth.leaving, member.has_left)
    ):
        effects.append(happened(word, **facts))
    if known and member.rests > known.rests:
        for_s = rest_s(known.rests)
        effects.append(happened("flapping", device=birth.device, rests_for_s=for_s))
    return effects


# --- between rounds -------------------------------------------------------------------------


def open_when_ready(state: CoordinatorState, now: float) -> Outcome:
    """Opens the round once all are there and, where its plan hangs on it, measured.

    Only while devices are gathered or measured.

    The first round waits for all devices, or, of a run that is resumed, for those that it had when
    it broke off; later ones wait for those that they may count on.
    """
    state, effects = _measure(state)
    if not _is_complete(state, now):
        return state, effects
    if not _is_measured(state, now):
        return state, effects
    if state.survey and state.survey.preparing:
        # For a device that is gone: compiling beside steps would give these other bits.
        return state, effects
    begun, more = _open_round(state, now)
    return begun, effects + more


def _is_complete(state: CoordinatorState, now: float) -> bool:
    # Who is present is found among all members anew with each that comes.
    if len(state.fleet.members) < state.quorum or len(state.present) < state.quorum:
        return False
    if state.stage == "surveying" or state.is_gathered:
        return True
    return _has_gathered_long(state, now)


def _is_measured(state: CoordinatorState, now: float) -> bool:
    # No limit cuts the probes of a board short that is here: they have one of their own.
    if state.measures is None:
        return True
    here_only = state.stage == "gathering" and _has_gathered_long(state, now)
    waits_for = state.present & state.fleet.here if here_only else state.present
    return all(map(state.measures.settled, waits_for)) and len(state.measured) >= state.quorum


def _has_gathered_long(state: CoordinatorState, now: float) -> bool:
    limit_s = state.gathers_for_s
    return limit_s is not None and now - state.gathers_since_s >= limit_s


def _measure(state: CoordinatorState) -> Outcome:
    """Begins to measure the devices that are there and new."""
    effects: list[MachineEffect] = []
    if state.measures is None:
        return state, effects
    for device in sorted(state.fleet.here - set(state.measures.pending)):
        birth, survey = state.fleet.members[device].birth, state.survey
        assert survey is not None
        state, more = surveyed(state, survey.begin(birth, state.probing))
        if more:
            effects += [happened("profiling", device=device), *more]
    return state, effects


def surveyed(state: CoordinatorState, outcome: Surveyed) -> Outcome:
    """Takes a step of the survey."""
    survey, effects = outcome
    return attrs.evolve(state, survey=survey), effects


def unanswered(state: CoordinatorState, now: float) -> Outcome:
    """Goes on without the probes that devices had time to answer, and did not."""
    effects: list[MachineEffect] = []
    overdue = state.survey.overdue(state.fleet.here, now) if state.survey else ()
    for device in overdue:
        assert state.survey is not None
        refused = state.survey.refused(device, f"no answer came within {PROBE_LIMIT_S:.0f} s")
        state, more = surveyed(state, refused) if refused else (state, [])
        effects += more
    return state, effects


def foresee(state: CoordinatorState) -> CoordinatorState:
    """Plans the next round while this one is closed; it holds if nothing happens meanwhile."""
    round, known = state.round + 1, state.foresight
    wanted = state.stage == "closing" and state.survey and round <= state.recipe.rounds
    if not wanted or state.plan_on_record(round) or (known and known.round == round):
        return state
    knowledge = state.knowledge(round)
    plan = state.planner.plan(round, knowledge)
    if isinstance(plan, Infeasible):
        return state
    return attrs.evolve(state, foresight=Foresight(round, knowledge, plan))


def _plan(state: CoordinatorState) -> Plan | Infeasible:
    knowledge = state.knowledge(state.round)
    foreseen = state.foresight and state.foresight.plan_for(state.round, knowledge)
    return state.known_plan or foreseen or state.planner.plan(state.round, knowledge)


def _open_round(state: CoordinatorState, now: float) -> Outcome:
    plan = _plan(state)
    if isinstance(plan, Infeasible):
        text = f"round {state.round} cannot be planned: {plan.reason}; {plan.remedy}"
        return attrs.evolve(state, stage="finished"), [Halt(Exit.FLEET, text)]
    logged = state.round in state.logged
    effects: list[MachineEffect] = [] if logged else [Record("plans", plan.entry())]
    opening = attrs.evolve(
        state,
        stage="opening",
        round_began_at_s=now,
        duties=Roll(),
        dropped=(),
        plan=plan,
        # Probes compile, which nobody may do while a round is trained: they come again after it.
        survey=state.survey and state.survey.only_settled(),
    )
    return opening, [*effects, Submit(OpenRound(plan))]
