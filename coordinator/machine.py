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

from coordinator.course import (
    FAILURES_ALLOWED,
    begin_round,
    closed,
    drop_late,
    fail,
    happened,
    order,
    settle,
    worked,
)
from coordinator.duty import Duty
from coordinator.gathering import (
    foresee,
    leased,
    open_when_ready,
    saw_device,
    surveyed,
    unanswered,
)
from coordinator.state import ANNOUNCE_EVERY_S, CoordinatorState, Outcome
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
from runtime.effects import Halt, Submit, Wake
from runtime.events import Failed, Finished, Started, StopAsked, Tick
from runtime.evolution import evolve
from runtime.exits import Exit
from runtime.ids import DeviceId
from runtime.letters import (
    Gradient,
    Letter,
    ProbeReport,
    ProgramDelivery,
    ProgramRequest,
    Refusal,
    RoundResult,
    Step,
)
from runtime.machine_effects import Announce, Drop, MachineEffect, Send
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
from runtime.presence import CoordinatorPresence

__all__ = ["FAILURES_ALLOWED", "CoordinatorState", "react"]


def react(state: CoordinatorState, event: MachineEvent, now: float) -> Outcome:
    """Returns the state after `event` and what is to be done about it."""
    if state.stage == "finished":
        return state, []
    state, effects = _taken(state, event, now)
    if state.stage not in ("gathering", "surveying"):
        return state, effects
    opened, more = open_when_ready(state, now)
    return opened, effects + more


def _taken(state: CoordinatorState, event: MachineEvent, now: float) -> Outcome:
    match event:
        case Received(peer, letter, traffic):
            return _received(state, peer, letter, traffic, now)
        case Finished(task, result):
            return _finished(state, task, result, now)
        case Started():
            return _looked(attrs.evolve(state, gathers_since_s=now, announces_at_s=now), now)
        case Tick():
            state = foresee(state)
            return _looked(state, now) if now >= state.looks_at_s else (state, [])
        case Seen(presence):
            if isinstance(presence, CoordinatorPresence):
                return _saw_coordinator(state, presence)
            return saw_device(state, presence, now)
        case Unwelcome(peer, letter_kind, reason):
            reason = f"{peer} will not take {letter_kind.__name__}: {reason}"
            return _unprobed(state, peer, reason) or fail(state, peer, reason, now)
        case Failed(task, reason, code):
            return _failed(state, task, reason, code, now)
        case StopAsked():
            farewell = attrs.evolve(state.presence, status="left")
            return state, [Announce(farewell), Halt(Exit.OK, "asked to stop")]
        case Silent(peer):
            return leased(state, peer, True, now)
        case Heard(peer):
            return leased(state, peer, False, now)
        case Delivered():
            return state, []
        case LinkUp():
            # Nobody could come before.
            return attrs.evolve(state, gathers_since_s=now), [happened("link up")]
        case LinkDown(reason):
            return state, [happened("link down", reason=reason)]


def _looked(state: CoordinatorState, now: float) -> Outcome:
    """Sees to what time alone brings about."""
    state = attrs.evolve(state, looks_at_s=now + state.looks_every_s)
    effects: list[MachineEffect] = [Wake(state.looks_at_s)]
    if now >= state.announces_at_s:
        state = attrs.evolve(state, announces_at_s=now + ANNOUNCE_EVERY_S)
        effects.insert(0, Announce(state.presence))
    state = attrs.evolve(state, fleet=state.fleet.rested(now))
    state, more = unanswered(state, now)
    effects += more
    deadline_s = state.policy.round_deadline_s
    if deadline_s is not None and now - state.trains_since_s >= deadline_s:
        state, more = drop_late(state, now)
        effects += more
    return _waited(state, effects, now)


def _waited(state: CoordinatorState, effects: list[MachineEffect], now: float) -> Outcome:
    """Ends a run that has waited too long for devices that are not there."""
    awaited, limit_s = state.awaited, state.policy.wait_limit_s
    since_s = state.waits_since_s if state.waits_since_s is not None else now
    state = attrs.evolve(state, waits_since_s=since_s if awaited else None)
    if not awaited or limit_s is None or now - since_s < limit_s:
        return state, effects
    names = ", ".join(f"{one} ({state.standing(one)})" for one in sorted(awaited))
    text = f"round {state.round} waited {now - since_s:.0f} s for {names}"
    return attrs.evolve(state, stage="finished"), [*effects, Halt(Exit.FLEET, text)]


def _saw_coordinator(state: CoordinatorState, presence: CoordinatorPresence) -> Outcome:
    if presence.incarnation > state.incarnation:
        reason = f"a coordinator started later (incarnation {presence.incarnation}) took over"
        contest = happened("contested", incarnation=presence.incarnation, reason=reason)
        return attrs.evolve(state, stage="finished"), [contest, Halt(Exit.SUPERSEDED, reason)]
    # A late word of an earlier life, or of a connection of ours that was cut: put it right.
    if presence.incarnation < state.incarnation or presence.status != "online":
        return state, [Announce(state.presence)]
    return state, []


def _unprobed(state: CoordinatorState, device: DeviceId, reason: str) -> Outcome | None:
    outcome = state.survey.refused(device, reason) if state.survey else None
    return surveyed(state, outcome) if outcome else None


def _received(
    state: CoordinatorState, peer: DeviceId, letter: Letter, traffic: Traffic, now: float
) -> Outcome:
    known = state.duties.get(peer)
    duty = known and known.heard(traffic)
    # Of all letters most are steps that are awaited; any other step is stale.
    if duty and isinstance(letter, Step) and duty.awaits(letter, state.run):
        return _stepped(state, duty, letter, traffic, now)
    if duty and duty is not known:
        state = state.with_duty(duty)
    match letter:
        case ProbeReport() if state.survey:
            reported = state.survey.reported(peer, letter, traffic, now)
            return surveyed(state, reported) if reported else (state, [_stale(peer, letter)])
        case Refusal(run, attempt, reason) if state.survey and state.survey.awaits(
            peer, run, attempt
        ):
            return _unprobed(state, peer, reason) or (state, [_stale(peer, letter)])
        case ProgramRequest(digest):
            return state, [Submit(FetchProgram(peer, digest))]
        case RoundResult() | Refusal() if (
            duty is None
            or duty.phase != "training"
            or (letter.run, letter.attempt) != (state.run, duty.attempt)
        ):
            return state, [_stale(peer, letter)]
        case RoundResult() if duty and duty.has_trained(state.recipe.local_steps):
            if letter.samples != duty.assignment.batch * state.recipe.local_steps:
                reason = f"{peer} says that it trained {letter.samples} samples"
                return fail(state, peer, reason, now)
            collected = duty.came_home(letter, traffic, now)
            collect = Collect(peer, duty.attempt, letter.samples, letter.tensors)
            return state.with_duty(collected), [Submit(collect)]
        case Refusal(reason=reason) if duty:
            return _refused(state, duty, reason, now)
        case _:
            return state, [_stale(peer, letter)]


def _stepped(
    state: CoordinatorState, duty: Duty, letter: Step, traffic: Traffic, now: float
) -> Outcome:
    serve = ServeStep(duty.device, duty.attempt, letter.step, letter.micro_batch, letter.tensors)
    return state.with_duty(duty.stepped(traffic.link.letter_s, now)), [Submit(serve)]


def _refused(state: CoordinatorState, duty: Duty, reason: str, now: float) -> Outcome:
    """Ends an attempt that its device refused; after the last one, plans ask less of the device."""
    if state.survey and duty.failures + 1 >= FAILURES_ALLOWED:
        state = attrs.evolve(state, survey=state.survey.unable(duty.assignment, reason))
    return fail(state, duty.device, f"{duty.device} refuses the round: {reason}", now)


def _stale(peer: DeviceId, letter: Letter) -> Drop:
    return Drop(peer, f"stale {type(letter).__name__}")


def _finished(state: CoordinatorState, task: Any, result: Any, now: float) -> Outcome:
    match task, result:
        case ServeStep(device, attempt, step, micro_batch), Served(loss=loss, worked_s=worked_s):
            duty = state.duties.get(device)
            if duty and (duty.attempt, duty.phase) == (attempt, "serving"):
                gradient = Gradient(state.run, attempt, step, micro_batch, result.tensors)
                return state.with_duty(duty.served(loss, worked_s, now)), [Send(device, gradient)]
            return worked(state, device, attempt)
        case OpenRound(plan), _:
            return begin_round(state, plan, now)
        case FetchProgram(device, digest), bytes():
            return state, [Send(device, ProgramDelivery(digest, result))]
        case Prepare(assignment, attempt), Prepared():
            duty = state.duties.get(assignment.device)
            if duty and (duty.attempt, duty.phase) == (attempt, "preparing"):
                return order(state, duty, result, now)
            return worked(state, assignment.device, attempt)
        case PrepareProbe(assignment), PreparedProbe() if state.survey:
            position = state.positions.get(assignment.device, 0)
            return surveyed(state, state.survey.prepared(task, result, position, now))
        case Collect(device, attempt), _:
            duty = state.duties.get(device)
            if duty and (duty.attempt, duty.phase) == (attempt, "collecting"):
                returned = evolve(duty, phase="returned", returned_at_s=now)
                return settle(state.with_duty(returned))
        case CloseRound(entry=entry), Closed():
            return closed(state, result.complete(entry), now)
    return state, []


def _failed(state: CoordinatorState, task: Any, reason: str, code: Exit, now: float) -> Outcome:
    match task:
        case PrepareProbe() if state.survey:
            return surveyed(state, state.survey.failed(task, reason))
        case ServeStep(device, attempt) | Collect(device, attempt):
            duty = state.duties.get(device)
            if duty and duty.attempt == attempt:
                return fail(state, device, reason, now)
            return worked(state, device, attempt)
        case FetchProgram(device):
            return state, [Drop(device, "request for no program of this run")]
        case _:
            return attrs.evolve(state, stage="finished"), [Halt(code, reason)]
