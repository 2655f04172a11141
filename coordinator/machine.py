"""The coordinator's protocol as a pure function: `(state, event, now) -> (state, effects)`.

    gathering -> opening -> training -> closing -> surveying -> opening -> ... -> finished

A round begins when the devices that its plan needs to know are measured. It is trained by every
device of the plan, each in attempts of its own, and closes when all have returned. Plans are on
record before anything follows from them, so that a restarted coordinator repeats the interrupted
round as it was planned.
"""

from __future__ import annotations

from typing import Any

import attrs

from coordinator.duty import Duty
from coordinator.plan import Assignment, Plan
from coordinator.planning.solution import Infeasible
from coordinator.profiling.survey import Outcome as Surveyed
from coordinator.roll import Roll
from coordinator.round_entry import round_entry
from coordinator.state import CoordinatorState, Outcome
from coordinator.tasks import (
    Closed,
    CloseRound,
    Collect,
    FetchProgram,
    OpenRound,
    Prepare,
    Prepared,
    PreparedProbe,
    PrepareProbe,
    Served,
    ServeStep,
)
from runtime.effects import Halt, Record, Submit, Wake
from runtime.events import Failed, Finished, Started, StopAsked, Tick
from runtime.exits import Exit
from runtime.frames import Session
from runtime.ids import DeviceId
from runtime.letters import (
    AttemptKey,
    Gradient,
    Letter,
    ProbeReport,
    ProgramDelivery,
    ProgramRequest,
    Refusal,
    RoundResult,
    Step,
)
from runtime.party import (
    Announce,
    Cap,
    Delivered,
    Drop,
    Heard,
    LinkDown,
    LinkUp,
    MachineEffect,
    MachineEvent,
    OpenSession,
    Received,
    Seen,
    Send,
    Silent,
    Traffic,
    Unwelcome,
    Weigh,
)
from runtime.presence import CoordinatorPresence, DevicePresence

__all__ = ["FAILURES_ALLOWED", "CoordinatorState", "react"]

ANNOUNCE_EVERY_S = 10.0
FAILURES_ALLOWED = 5
"""Attempts of one device at one round that may fail before the run is given up."""


def react(state: CoordinatorState, event: MachineEvent, now: float) -> Outcome:
    """Returns the state after `event` and what is to be done about it."""
    if state.stage == "finished":
        return state, []
    match event:
        case Started() | Tick():
            return state, [Announce(state.presence), Wake(now + ANNOUNCE_EVERY_S)]
        case Seen(presence):
            if isinstance(presence, CoordinatorPresence):
                return _saw_coordinator(state, presence)
            return _saw_device(state, presence, now)
        case Received(peer, letter, traffic):
            return _received(_heard(state, peer, traffic), peer, letter, traffic, now)
        case Unwelcome(peer, letter_kind, reason):
            reason = f"{peer} will not take {letter_kind.__name__}: {reason}"
            return _unprobed(state, peer, reason, now) or _fail(state, peer, reason)
        case Finished(task, result):
            return _finished(state, task, result, now)
        case Failed(task, reason, code):
            return _failed(state, task, reason, code, now)
        case StopAsked():
            farewell = attrs.evolve(state.presence, status="left")
            return state, [Announce(farewell), Halt(Exit.OK, "asked to stop")]
        case Silent() | Heard() | Delivered():
            return state, []
        case LinkUp():
            return state, [_event("link up")]
        case LinkDown(reason):
            return state, [_event("link down", reason=reason)]


def _event(name: str, **facts: Any) -> Record:
    return Record("events", {"event": name, **facts})


# --- who is there ---------------------------------------------------------------------------


def _saw_coordinator(state: CoordinatorState, presence: CoordinatorPresence) -> Outcome:
    if presence.incarnation > state.incarnation:
        reason = f"a coordinator started later (incarnation {presence.incarnation}) took over"
        return attrs.evolve(state, stage="finished"), [Halt(Exit.SUPERSEDED, reason)]
    # A late word of an earlier life, or of a connection of ours that was cut: put it right.
    if presence.incarnation < state.incarnation or presence.status != "online":
        return state, [Announce(state.presence)]
    return state, []


def _saw_device(state: CoordinatorState, presence: DevicePresence, now: float) -> Outcome:
    device = presence.device
    known = state.peers.get(device)
    if device not in state.devices or (known and presence.incarnation < known.incarnation):
        return state, []
    if presence.status != "online" and (not known or presence.incarnation > known.incarnation):
        # The end of a life whose birth never came to us: the birth, if it comes yet, is news.
        if known is None:
            return state, []
        presence = attrs.evolve(known, status=presence.status)
    if known == presence:
        return state, []
    seen = attrs.evolve(state, peers={**state.peers, device: presence})
    effects: list[MachineEffect] = [
        _event(presence.status, device=device, incarnation=presence.incarnation)
    ]
    newborn = known is None or presence.incarnation > known.incarnation
    if newborn and presence.status == "online":
        refusal = state.why_not(presence)
        if refusal:
            return _refuse(state, device, refusal)
        effects.append(OpenSession(device, Session(state.incarnation, presence.incarnation)))
    return _continue(seen, device, newborn, effects, now)


def _refuse(state: CoordinatorState, device: DeviceId, reason: str) -> Outcome:
    """Tells the operator once; the device may announce itself for ever."""
    if state.refused.get(device) == reason:
        return state, []
    refused = {**state.refused, device: reason}
    event = _event("refused", device=device, reason=reason)
    return attrs.evolve(state, refused=refused), [event]


def _continue(
    state: CoordinatorState,
    device: DeviceId,
    newborn: bool,
    effects: list[MachineEffect],
    now: float,
) -> Outcome:
    """Begins what a device's appearance allows: the first round, or its part of this one."""
    if newborn and state.survey:
        state = attrs.evolve(state, survey=state.survey.forget(device))
    if state.stage in ("gathering", "surveying"):
        begun, more = _open_when_ready(state, now)
        return begun, effects + more
    duty = state.duties.get(device)
    online = state.peers[device].status == "online"
    if not online or state.stage != "training" or not newborn or duty is None or duty.is_home:
        return state, effects
    if duty.phase == "preparing":
        # What is made ready for its earlier life will do for this one: births come in floods.
        return state, effects
    begun, more = _begin_attempt(state, duty.again())
    return begun, effects + more


# --- what the fleet can do -----------------------------------------------------------------


def _open_when_ready(state: CoordinatorState, now: float) -> Outcome:
    """Opens the round once all are there and, where its plan hangs on it, measured.

    The first round waits for all devices, later ones for those that did not say farewell.
    """
    state, effects = _measure(state)
    if state.stage == "gathering" and not state.is_gathered:
        return state, effects
    if state.measures and not (state.present and all(map(state.measures.settled, state.present))):
        return state, effects
    begun, more = _open_round(state, now)
    return begun, effects + more


def _measure(state: CoordinatorState) -> Outcome:
    """Begins to measure the devices that are there and new."""
    effects: list[MachineEffect] = []
    for birth in state.peers.values():
        survey = state.measures
        if survey and birth.status == "online" and birth.device not in survey.pending:
            state, more = _surveyed(state, survey.begin(birth, state.round))
            effects += more
    return state, effects


def _surveyed(state: CoordinatorState, outcome: Surveyed) -> Outcome:
    survey, effects = outcome
    return attrs.evolve(state, survey=survey), effects


def _go_on(state: CoordinatorState, outcome: Surveyed, now: float) -> Outcome:
    """Takes a step of the survey, and the round that it was the last one for."""
    state, effects = _surveyed(state, outcome)
    if state.stage not in ("gathering", "surveying"):
        return state, effects
    begun, more = _open_when_ready(state, now)
    return begun, effects + more


def _unprobed(state: CoordinatorState, device: DeviceId, reason: str, now: float) -> Outcome | None:
    outcome = state.survey.refused(device, reason) if state.survey else None
    return _go_on(state, outcome, now) if outcome else None


# --- the round ------------------------------------------------------------------------------


def _open_round(state: CoordinatorState, now: float) -> Outcome:
    plan = state.known_plan or state.planner.plan(state.round, state.knowledge)
    if isinstance(plan, Infeasible):
        text = f"round {state.round} cannot be planned: {plan.reason}; {plan.remedy}"
        return attrs.evolve(state, stage="finished"), [Halt(Exit.FLEET, text)]
    logged = state.round in state.logged
    effects: list[MachineEffect] = [] if logged else [Record("plans", plan.entry())]
    opening = attrs.evolve(state, stage="opening", round_began_at_s=now, duties=Roll(), plan=plan)
    return opening, [*effects, Submit(OpenRound(plan))]


def _begin_round(state: CoordinatorState, plan: Plan) -> Outcome:
    effects: list[MachineEffect] = []
    state = attrs.evolve(state, stage="training")
    for one in plan.assignments:
        down = one.weight if one.weight_down is None else one.weight_down
        effects += [Weigh(one.device, one.weight, down), _cap(one)]
        state, more = _begin_attempt(state, Duty(one, AttemptKey(state.round, 1)))
        effects += more
    return state, effects


def _cap(one: Assignment) -> Cap:
    """Holds a device to its static shares, or lifts those of an earlier plan."""
    if one.caps is None:
        return Cap(one.device, None, None)
    return Cap(one.device, one.caps.up_bytes_per_s, one.caps.down_bytes_per_s)


def _begin_attempt(state: CoordinatorState, duty: Duty) -> Outcome:
    begun = attrs.evolve(duty, phase="preparing")
    return state.with_duty(begun), [Submit(Prepare(duty.assignment, duty.attempt))]


def _heard(state: CoordinatorState, peer: DeviceId, traffic: Traffic) -> CoordinatorState:
    duty = state.duties.get(peer)
    return state.with_duty(duty.heard(traffic)) if duty else state


def _received(
    state: CoordinatorState, peer: DeviceId, letter: Letter, traffic: Traffic, now: float
) -> Outcome:
    duty = state.duties.get(peer)
    match letter:
        case ProbeReport() if state.survey:
            reported = state.survey.reported(peer, letter, traffic, now)
            return _go_on(state, reported, now) if reported else (state, [_stale(peer, letter)])
        case Refusal(run, AttemptKey(_, 0), reason) if run == state.run and state.survey:
            unprobed = _unprobed(state, peer, reason, now)
            return unprobed or (state, [_stale(peer, letter)])
        case ProgramRequest(digest):
            return state, [Submit(FetchProgram(peer, digest))]
        case Step() | RoundResult() | Refusal() if (
            duty is None
            or duty.phase != "training"
            or (letter.run, letter.attempt) != (state.run, duty.attempt)
        ):
            return state, [_stale(peer, letter)]
        case Step() if duty and duty.assignment.is_whole_model:
            return state, [_stale(peer, letter)]
        case Step() if duty and (letter.step, letter.micro_batch) == (duty.step, duty.micro_batch):
            serve = ServeStep(peer, duty.attempt, letter.step, letter.micro_batch, letter.tensors)
            stepped = duty.stepped(traffic.link.letter_s, now)
            return state.with_duty(stepped), [Submit(serve)]
        case RoundResult() if duty and duty.has_trained(state.recipe.local_steps):
            if letter.samples != duty.assignment.batch * state.recipe.local_steps:
                return _fail(state, peer, f"{peer} says that it trained {letter.samples} samples")
            collected = duty.came_home(letter, traffic, now)
            collect = Collect(peer, duty.attempt, letter.samples, letter.tensors)
            return state.with_duty(collected), [Submit(collect)]
        case Refusal():
            return _fail(state, peer, f"{peer} refuses the round: {letter.reason}")
        case _:
            return state, [_stale(peer, letter)]


def _stale(peer: DeviceId, letter: Letter) -> Drop:
    return Drop(peer, f"stale {type(letter).__name__}")


def _finished(state: CoordinatorState, task: Any, result: Any, now: float) -> Outcome:
    match task, result:
        case OpenRound(plan), _:
            return _begin_round(state, plan)
        case FetchProgram(device, digest), bytes():
            return state, [Send(device, ProgramDelivery(digest, result))]
        case Prepare(assignment, attempt), Prepared():
            duty = state.duties.get(assignment.device)
            if duty and (duty.attempt, duty.phase) == (attempt, "preparing"):
                return _order(state, duty, result, now)
        case PrepareProbe(assignment), PreparedProbe() if state.survey:
            position = state.positions.get(assignment.device, 0)
            return _surveyed(state, state.survey.prepared(task, result, position))
        case ServeStep(device, attempt, step, micro_batch), Served(loss=loss, worked_s=worked_s):
            duty = state.duties.get(device)
            if duty and (duty.attempt, duty.phase) == (attempt, "serving"):
                gradient = Gradient(state.run, attempt, step, micro_batch, result.tensors)
                return state.with_duty(duty.served(loss, worked_s, now)), [Send(device, gradient)]
        case Collect(device, attempt), _:
            duty = state.duties.get(device)
            if duty and (duty.attempt, duty.phase) == (attempt, "collecting"):
                returned = attrs.evolve(duty, phase="returned", returned_at_s=now)
                return _close_if_complete(state.with_duty(returned))
        case CloseRound(), Closed():
            return _closed(state, result, now)
    return state, []


def _order(state: CoordinatorState, duty: Duty, prepared: Prepared, now: float) -> Outcome:
    position = state.positions.get(duty.device, 0)
    order = duty.order(state.run, state.recipe, position, prepared.program, prepared.tensors)
    training = attrs.evolve(duty, phase="training", watch=duty.watch.ordered(now))
    return state.with_duty(training), [Send(duty.device, order)]


def _close_if_complete(state: CoordinatorState) -> Outcome:
    if any(duty.phase != "returned" for duty in state.duties.values()):
        return state, []
    positions = tuple(sorted(state.positions_after.items()))
    close = CloseRound(state.round, tuple(sorted(state.duties)), positions)
    return attrs.evolve(state, stage="closing"), [Submit(close)]


def _closed(state: CoordinatorState, closed: Closed, now: float) -> Outcome:
    assert state.plan is not None
    duties, began_s = tuple(state.duties.values()), state.round_began_at_s
    steps = state.recipe.local_steps
    entry = round_entry(state.plan, duties, closed, steps, began_s=began_s, now=now)
    effects: list[MachineEffect] = [Record("rounds", entry)]
    survey = state.survey and state.survey.noted(duties, now)
    state = attrs.evolve(state, positions=state.positions_after, survey=survey)
    if state.round < state.recipe.rounds:
        state = attrs.evolve(state, round=state.round + 1, stage="surveying")
        begun, more = _open_when_ready(state, now)
        return begun, effects + more
    finished = attrs.evolve(state, stage="finished")
    return finished, [*effects, Announce(finished.presence), Halt(Exit.OK, "the job is done")]


# --- what goes wrong ------------------------------------------------------------------------


def _failed(state: CoordinatorState, task: Any, reason: str, code: Exit, now: float) -> Outcome:
    match task:
        case PrepareProbe() if state.survey:
            return _go_on(state, state.survey.failed(task, reason), now)
        case ServeStep(device, attempt) | Collect(device, attempt):
            duty = state.duties.get(device)
            if duty and duty.attempt == attempt:
                return _fail(state, device, reason)
            return state, []
        case FetchProgram(device):
            return state, [Drop(device, "request for no program of this run")]
        case _:
            return attrs.evolve(state, stage="finished"), [Halt(code, reason)]


def _fail(state: CoordinatorState, device: DeviceId, reason: str) -> Outcome:
    """Ends an attempt that went wrong and begins another, a bounded number of times."""
    duty = state.duties.get(device)
    if duty is None or duty.phase == "returned":
        return state, [_event("failed", device=device, reason=reason)]
    failures = duty.failures + 1
    if failures >= FAILURES_ALLOWED:
        text = f"{device} failed {failures} times in round {state.round}: {reason}"
        return attrs.evolve(state, stage="finished"), [Halt(Exit.FLEET, text)]
    begun, effects = _begin_attempt(state, attrs.evolve(duty, failures=failures).again())
    return begun, [_event("attempt failed", device=device, reason=reason), *effects]
