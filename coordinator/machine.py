"""The coordinator's protocol as a pure function: `(state, event, now) -> (state, effects)`.

    gathering -> opening -> training -> closing -> opening -> ... -> finished

A round is trained by every device of the plan, each in attempts of its own; it closes when all
have returned. Plans are on record before anything follows from them, so that a restarted
coordinator repeats the interrupted round as it was planned.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs
from attrs import field, frozen

from coordinator.duty import Duty
from coordinator.plan import Plan, Planner
from coordinator.tasks import (
    Closed,
    CloseRound,
    Collect,
    FetchProgram,
    OpenRound,
    Prepare,
    Prepared,
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
    ProgramDelivery,
    ProgramRequest,
    Refusal,
    RoundOrder,
    RoundResult,
    Step,
)
from runtime.party import (
    Announce,
    Drop,
    LinkDown,
    LinkUp,
    MachineEffect,
    MachineEvent,
    OpenSession,
    Received,
    Seen,
    Send,
    Traffic,
    Unwelcome,
    Weigh,
)
from runtime.presence import CoordinatorPresence, DevicePresence
from runtime.recipe import Recipe

ANNOUNCE_EVERY_S = 10.0
FAILURES_ALLOWED = 5
"""Attempts of one device at one round that may fail before the run is given up."""

Stage = Literal["gathering", "opening", "training", "closing", "finished"]


@frozen
class CoordinatorState:
    """Everything the coordinator's protocol remembers.

    `logged` holds the plans on record: those of a run that is resumed or replayed.
    """

    run: str
    incarnation: int
    devices: tuple[DeviceId, ...]
    recipe: Recipe
    planner: Planner
    codecs: frozenset[str]
    """The codecs that plans may use; a device must know them all."""
    logged: Mapping[int, Plan] = field(factory=dict)
    stage: Stage = "gathering"
    round: int = 1
    round_began_at_s: float = 0.0
    positions: Mapping[DeviceId, int] = field(factory=dict)
    peers: Mapping[DeviceId, DevicePresence] = field(factory=dict)
    duties: Mapping[DeviceId, Duty] = field(factory=dict)
    refused: Mapping[DeviceId, str] = field(factory=dict)

    @property
    def presence(self) -> CoordinatorPresence:
        status: Literal["online", "finished"] = "finished" if self.stage == "finished" else "online"
        return CoordinatorPresence(self.incarnation, status, self.run)

    def with_duty(self, duty: Duty) -> CoordinatorState:
        return attrs.evolve(self, duties={**self.duties, duty.device: duty})


Outcome = tuple[CoordinatorState, list[MachineEffect]]


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
            return _received(state, peer, letter, traffic)
        case Unwelcome(peer, letter_kind, reason):
            return _fail(state, peer, f"{peer} will not take {letter_kind.__name__}: {reason}")
        case Finished(task, result):
            return _finished(state, task, result, now)
        case Failed(task, reason, code):
            return _failed(state, task, reason, code)
        case StopAsked():
            farewell = attrs.evolve(state.presence, status="left")
            return state, [Announce(farewell), Halt(Exit.OK, "asked to stop")]
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
        refusal = _why_not(state, presence)
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


def _why_not(state: CoordinatorState, presence: DevicePresence) -> str | None:
    if presence.samples < 1:
        return "it holds no samples"
    if state.recipe.optimiser.name not in presence.optimisers:
        return f"it does not know the optimiser {state.recipe.optimiser.name}"
    if missing := state.codecs - set(presence.codecs):
        return f"it does not know the codec {', '.join(sorted(missing))}"
    return None


def _continue(
    state: CoordinatorState,
    device: DeviceId,
    newborn: bool,
    effects: list[MachineEffect],
    now: float,
) -> Outcome:
    """Begins what a device's appearance allows: the first round, or its part of this one."""
    if state.peers[device].status != "online":
        return state, effects
    if state.stage == "gathering":
        present = {peer for peer, birth in state.peers.items() if birth.status == "online"}
        if present >= set(state.devices):
            begun, more = _open_round(state, now)
            return begun, effects + more
        return state, effects
    duty = state.duties.get(device)
    if state.stage != "training" or not newborn or duty is None or duty.is_home:
        return state, effects
    begun, more = _begin_attempt(state, duty.again())
    return begun, effects + more


# --- the round ------------------------------------------------------------------------------


def _open_round(state: CoordinatorState, now: float) -> Outcome:
    logged = state.logged.get(state.round)
    plan = logged or state.planner.plan(state.round)
    effects: list[MachineEffect] = [] if logged else [Record("plans", attrs.asdict(plan))]
    opening = attrs.evolve(state, stage="opening", round_began_at_s=now, duties={})
    return opening, [*effects, Submit(OpenRound(plan))]


def _begin_round(state: CoordinatorState, plan: Plan) -> Outcome:
    effects: list[MachineEffect] = []
    state = attrs.evolve(state, stage="training")
    for assignment in plan.assignments:
        effects.append(Weigh(assignment.device, assignment.weight, assignment.weight))
        duty = Duty(assignment, AttemptKey(state.round, 1))
        state, more = _begin_attempt(state, duty)
        effects += more
    return state, effects


def _begin_attempt(state: CoordinatorState, duty: Duty) -> Outcome:
    begun = attrs.evolve(duty, phase="preparing")
    return state.with_duty(begun), [Submit(Prepare(duty.assignment, duty.attempt))]


def _received(state: CoordinatorState, peer: DeviceId, letter: Letter, traffic: Traffic) -> Outcome:
    duty = state.duties.get(peer)
    match letter:
        case ProgramRequest(digest):
            return state, [Submit(FetchProgram(peer, digest))]
        case Step() | RoundResult() | Refusal() if (
            duty is None
            or duty.phase != "training"
            or (letter.run, letter.attempt) != (state.run, duty.attempt)
        ):
            return state, [Drop(peer, f"stale {type(letter).__name__}")]
        case Step() if duty and (letter.step, letter.micro_batch) == (duty.step, duty.micro_batch):
            serve = ServeStep(peer, duty.attempt, letter.step, letter.micro_batch, letter.tensors)
            return state.with_duty(attrs.evolve(duty, phase="serving")), [Submit(serve)]
        case RoundResult() if duty and duty.step == state.recipe.local_steps:
            if letter.samples != duty.assignment.batch * state.recipe.local_steps:
                return _fail(state, peer, f"{peer} says that it trained {letter.samples} samples")
            collected = attrs.evolve(
                duty,
                phase="collecting",
                report=letter.report,
                samples=letter.samples,
                traffic=traffic,
            )
            collect = Collect(peer, duty.attempt, letter.samples, letter.tensors)
            return state.with_duty(collected), [Submit(collect)]
        case Refusal():
            return _fail(state, peer, f"{peer} refuses the round: {letter.reason}")
        case _:
            return state, [Drop(peer, f"stale {type(letter).__name__}")]


def _finished(state: CoordinatorState, task: Any, result: Any, now: float) -> Outcome:
    match task, result:
        case OpenRound(plan), _:
            return _begin_round(state, plan)
        case FetchProgram(device, digest), bytes():
            return state, [Send(device, ProgramDelivery(digest, result))]
        case Prepare(assignment, attempt), Prepared():
            duty = state.duties.get(assignment.device)
            if duty and (duty.attempt, duty.phase) == (attempt, "preparing"):
                return _order(state, duty, result)
        case ServeStep(device, attempt, step, micro_batch), Served():
            duty = state.duties.get(device)
            if duty and (duty.attempt, duty.phase) == (attempt, "serving"):
                gradient = Gradient(state.run, attempt, step, micro_batch, result.tensors)
                return state.with_duty(duty.served(result.loss)), [Send(device, gradient)]
        case Collect(device, attempt), _:
            duty = state.duties.get(device)
            if duty and (duty.attempt, duty.phase) == (attempt, "collecting"):
                returned = attrs.evolve(duty, phase="returned", returned_at_s=now)
                return _close_if_complete(state.with_duty(returned))
        case CloseRound(), Closed():
            return _closed(state, result, now)
    return state, []


def _order(state: CoordinatorState, duty: Duty, prepared: Prepared) -> Outcome:
    assignment = duty.assignment
    order = RoundOrder(
        run=state.run,
        attempt=duty.attempt,
        program=prepared.program,
        cut=assignment.cut,
        batch=assignment.batch,
        micro_batches=assignment.micro_batches,
        position=state.positions.get(duty.device, 0),
        codec_up=assignment.codec_up,
        codec_down=assignment.codec_down,
        recipe=state.recipe,
        tensors=prepared.tensors,
    )
    ordered = state.with_duty(attrs.evolve(duty, phase="training"))
    return ordered, [Send(duty.device, order)]


def _close_if_complete(state: CoordinatorState) -> Outcome:
    if any(duty.phase != "returned" for duty in state.duties.values()):
        return state, []
    positions = tuple(sorted(_positions_after(state).items()))
    close = CloseRound(state.round, tuple(sorted(state.duties)), positions)
    return attrs.evolve(state, stage="closing"), [Submit(close)]


def _positions_after(state: CoordinatorState) -> dict[DeviceId, int]:
    trained = {device: duty.samples for device, duty in state.duties.items()}
    return {
        device: state.positions.get(device, 0) + trained.get(device, 0) for device in state.devices
    }


def _closed(state: CoordinatorState, closed: Closed, now: float) -> Outcome:
    effects: list[MachineEffect] = [Record("rounds", _round_entry(state, closed, now))]
    state = attrs.evolve(state, positions=_positions_after(state))
    if state.round < state.recipe.rounds:
        state = attrs.evolve(state, round=state.round + 1)
        begun, more = _open_round(state, now)
        return begun, effects + more
    finished = attrs.evolve(state, stage="finished")
    return finished, [*effects, Announce(finished.presence), Halt(Exit.OK, "the job is done")]


def _round_entry(state: CoordinatorState, closed: Closed, now: float) -> dict[str, Any]:
    duties = [state.duties[device] for device in sorted(state.duties)]
    samples = sum(duty.samples for duty in duties)
    return {
        "round": state.round,
        "accuracy": closed.accuracy,
        "loss": closed.loss,
        "train_loss": sum(d.mean_loss * d.samples for d in duties) / max(1, samples),
        "samples": samples,
        "duration_s": now - state.round_began_at_s,
        "weights_sha256": closed.weights_sha256,
        "devices": {duty.device: _device_entry(state, duty) for duty in duties},
    }


def _device_entry(state: CoordinatorState, duty: Duty) -> dict[str, Any]:
    return {
        "cut": duty.assignment.cut,
        "codec_up": duty.assignment.codec_up,
        "codec_down": duty.assignment.codec_down,
        "attempt": duty.attempt.number,
        "samples": duty.samples,
        "train_loss": duty.mean_loss,
        "duration_s": duty.returned_at_s - state.round_began_at_s,
        # Bytes since this coordinator process began, as it counted them.
        "up_bytes": duty.traffic.received_bytes,
        "down_bytes": duty.traffic.sent_bytes,
        **attrs.asdict(duty.report),
    }


# --- what goes wrong ------------------------------------------------------------------------


def _failed(state: CoordinatorState, task: Any, reason: str, code: Exit) -> Outcome:
    match task:
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
