"""The agent's protocol as a pure function: `(state, event, now) -> (state, effects)`.

The agent follows. It announces itself, waits for a coordinator for ever, and works on the
newest attempt it was ordered to make; whatever belongs to an older one is dropped. It keeps
nothing of an attempt across a restart: the coordinator then orders a new one.
"""

from __future__ import annotations

from typing import Literal

import attrs
from attrs import field, frozen

from device_agent.tasks import (
    Backward,
    Begin,
    FindProgram,
    Finish,
    Forward,
    StoreProgram,
    Trained,
)
from runtime.effects import Halt, Record, Submit, Wake
from runtime.events import Failed, Finished, Started, StopAsked, Tick
from runtime.exits import Exit
from runtime.frames import Session
from runtime.ids import COORDINATOR
from runtime.letters import (
    AttemptKey,
    Gradient,
    Letter,
    Probe,
    ProbeReport,
    ProgramDelivery,
    ProgramRequest,
    Refusal,
    RoundOrder,
    RoundResult,
    Step,
)
from runtime.machine_effects import Announce, Drop, MachineEffect, OpenSession, Send
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
from runtime.presence import PULSING_MINOR, CoordinatorPresence, DevicePresence
from runtime.rate_history import RateHistory

ANNOUNCE_EVERY_S = 10.0
"""Presence is repeated, so that a broker that lost it learns it again."""

Phase = Literal["finding", "fetching", "storing", "beginning", "forward", "waiting", "backward",
                "finishing"]  # fmt: skip


@frozen
class Work:
    """The attempt in hand and how far it is."""

    order: RoundOrder
    phase: Phase
    step: int = 0
    micro_batch: int = 0
    probe: Probe | None = None
    """The letter that asked for it, if nothing of this work is to be kept."""
    first_step_at_s: float | None = None

    @property
    def attempt(self) -> AttemptKey:
        return self.order.attempt


@frozen
class AgentState:
    """Everything the agent's protocol remembers."""

    birth: DevicePresence
    coordinator: int | None = None
    """Incarnation of the coordinator we follow."""
    latest: tuple[str, AttemptKey] | None = None
    """Run and attempt of the newest order taken in this session."""
    work: Work | None = None
    coordinator_is_here: bool = False
    """It announced itself as online, and is heard."""
    leave_within_s: float = 30.0
    leaves_by_s: float | None = None
    """When this agent is gone, asked to stop as it was."""
    is_going_home: bool = False
    """The result of the work that was in hand is on its way."""
    downlink: RateHistory = field(factory=RateHistory)
    """Of the letters since the work in hand was ordered, that order included."""

    @property
    def is_needed(self) -> bool:
        """Tells whether there is something to bring home, and somebody to bring it to."""
        works = self.work is not None and self.work.probe is None
        return self.coordinator_is_here and (works or self.is_going_home)


Outcome = tuple[AgentState, list[MachineEffect]]


def react(state: AgentState, event: MachineEvent, now: float) -> Outcome:
    """Returns the state after `event` and what is to be done about it."""
    match event:
        case Started() | Tick():
            if state.leaves_by_s is not None and now >= state.leaves_by_s:
                return _left(state, "asked to stop; the round was handed back")
            return state, [Announce(state.birth), Wake(now + ANNOUNCE_EVERY_S)]
        case Seen(presence):
            if isinstance(presence, CoordinatorPresence):
                return _go_if_idle(*_saw_coordinator(state, presence))
            return _saw_self(state, presence)
        case Received(_, letter, traffic):
            return _go_if_idle(*_received(_clocked(state, traffic), letter))
        case Finished(task, result):
            return _go_if_idle(*_finished(_timed(state, task, now), task, result))
        case Failed(task, reason, _):
            return _go_if_idle(*_failed(state, task, reason))
        case Unwelcome(_, letter_kind, reason):
            entry = {"event": "refused by coordinator", "letter": letter_kind.__name__}
            return state, [Record("events", {**entry, "reason": reason})]
        case StopAsked():
            return _asked_to_stop(state, now)
        case Delivered():
            return _go_if_idle(attrs.evolve(state, is_going_home=False), [])
        case Silent() | Heard():
            is_here = isinstance(event, Heard)
            entry = {"event": "coordinator heard" if is_here else "coordinator silent"}
            state = attrs.evolve(state, coordinator_is_here=is_here)
            return _go_if_idle(state, [Record("events", entry)])
        case LinkUp():
            return state, [Record("events", {"event": "link up"})]
        case LinkDown(reason):
            return state, [Record("events", {"event": "link down", "reason": reason})]


def _asked_to_stop(state: AgentState, now: float) -> Outcome:
    """Brings the round home before it leaves, if there is time enough; asked twice, it goes."""
    if state.leaves_by_s is not None or not state.is_needed or not _finishes_in_time(state, now):
        return _left(state, "asked to stop")
    by_s = now + state.leave_within_s
    leaving = attrs.evolve(state, birth=attrs.evolve(state.birth, leaving=True), leaves_by_s=by_s)
    entry = {"event": "leaving", "within_s": state.leave_within_s}
    return leaving, [Announce(leaving.birth), Wake(by_s), Record("events", entry)]


def _finishes_in_time(state: AgentState, now: float) -> bool:
    """Tells whether the steps to come will be done, as far as those behind foretell it."""
    work = state.work
    if work is None or work.first_step_at_s is None or work.step == 0:
        return state.leave_within_s > 0
    pace_s = (now - work.first_step_at_s) / work.step
    return (work.order.recipe.local_steps - work.step) * pace_s <= state.leave_within_s


def _go_if_idle(state: AgentState, effects: list[MachineEffect]) -> Outcome:
    """Lets an agent that was asked to stop go when it has nothing to bring home, or nobody to."""
    if state.leaves_by_s is None or state.is_needed:
        return state, effects
    gone, farewell = _left(state, "asked to stop")
    return gone, [*effects, *farewell]


def _left(state: AgentState, reason: str) -> Outcome:
    farewell = attrs.evolve(state.birth, status="left")
    return state, [Announce(farewell), Halt(Exit.OK, reason)]


def _timed(state: AgentState, task: object, now: float) -> AgentState:
    """Notes when the first step of the work in hand began."""
    if state.work is None or not isinstance(task, Begin):
        return state
    return attrs.evolve(state, work=attrs.evolve(state.work, first_step_at_s=now))


def _saw_coordinator(state: AgentState, presence: CoordinatorPresence) -> Outcome:
    if presence.incarnation == state.coordinator:
        state = attrs.evolve(state, coordinator_is_here=presence.status == "online")
    if presence.status != "online" or presence.incarnation <= (state.coordinator or 0):
        return state, []
    session = Session(presence.incarnation, state.birth.incarnation)
    following = attrs.evolve(
        state,
        coordinator=presence.incarnation,
        coordinator_is_here=True,
        latest=None,
        work=None,
        is_going_home=False,
    )
    entry = {"event": "following", "coordinator": presence.incarnation, "run": presence.run}
    return following, [
        OpenSession(COORDINATOR, session, presence.protocol >= PULSING_MINOR),
        Announce(state.birth),
        Record("events", entry),
    ]


def _saw_self(state: AgentState, presence: DevicePresence) -> Outcome:
    if presence.incarnation > state.birth.incarnation:
        reason = f"a later start of device {presence.device} took over"
        return state, [Halt(Exit.SUPERSEDED, reason)]
    # A late will of an earlier life, or of a connection of ours that was cut: put it right.
    if presence.incarnation < state.birth.incarnation or presence.status == "lost":
        return state, [Announce(state.birth)]
    return state, []


def _clocked(state: AgentState, traffic: Traffic) -> AgentState:
    """Notes how fast the coordinator's bytes come."""
    if not traffic.link.bytes_per_s:
        return state
    return attrs.evolve(state, downlink=state.downlink.seen(traffic.link.bytes_per_s))


def _received(state: AgentState, letter: Letter) -> Outcome:
    work = state.work
    match letter:
        case RoundOrder():
            return _ordered(state, letter)
        case Probe(order):
            return _probed(state, letter, order)
        case ProgramDelivery(digest, body) if (
            work and work.phase == "fetching" and work.order.program == digest
        ):
            return _advance(state, work, "storing", StoreProgram(digest, body))
        case Gradient() if (
            work
            and work.phase == "waiting"
            and (letter.run, letter.attempt) == (work.order.run, work.attempt)
            and (letter.step, letter.micro_batch) == (work.step, work.micro_batch)
        ):
            task = Backward(work.attempt, work.step, work.micro_batch, letter.tensors)
            return _advance(state, work, "backward", task)
        case _:
            return state, [_stale(letter)]


def _stale(letter: Letter) -> Drop:
    return Drop(COORDINATOR, f"stale {type(letter).__name__}")


def _ordered(state: AgentState, order: RoundOrder) -> Outcome:
    if state.latest and state.latest[0] == order.run and order.attempt <= state.latest[1]:
        return state, [_stale(order)]
    if state.leaves_by_s is not None:
        # It was to bring home the attempt in hand, which this order ends.
        return attrs.evolve(state, work=None), [_stale(order)]
    taken = attrs.evolve(state, latest=(order.run, order.attempt))
    return _take(taken, Work(order, "finding"))


def _probed(state: AgentState, probe: Probe, order: RoundOrder) -> Outcome:
    """Takes a probe unless an order of its round came first: its steps are an order's, unsent.

    Work of an earlier round that is still in hand was dropped, or nobody would ask for a probe.
    """
    late = state.latest and state.latest[0] == order.run and order.attempt <= state.latest[1]
    if late or state.leaves_by_s is not None:
        return state, [_stale(probe)]
    return _take(state, Work(order, "finding", probe=probe))


def _take(state: AgentState, work: Work) -> Outcome:
    taken = attrs.evolve(state, downlink=RateHistory(state.downlink.rates[-1:]))
    return _advance(taken, work, "finding", FindProgram(work.order.program))


def _finished(state: AgentState, task: object, result: object) -> Outcome:
    work = state.work
    if work is None or not _belongs(task, work):
        return state, []
    match task:
        case FindProgram(digest) if not result:
            fetching = attrs.evolve(state, work=attrs.evolve(work, phase="fetching"))
            return fetching, [Send(COORDINATOR, ProgramRequest(digest))]
        case FindProgram() | StoreProgram():
            return _advance(state, work, "beginning", Begin(work.order))
        case Begin():
            return _forward(state, work)
        case Forward() if work.probe or work.order.is_whole_model:
            alone = Backward(work.attempt, work.step, work.micro_batch, None)
            return _advance(state, work, "backward", alone)
        case Forward() if isinstance(result, dict):
            step = Step(work.order.run, work.attempt, work.step, work.micro_batch, result)
            waiting = attrs.evolve(state, work=attrs.evolve(work, phase="waiting"))
            return waiting, [Send(COORDINATOR, step)]
        case Backward():
            return _stepped(state, work)
        case Finish() if isinstance(result, Trained):
            home = attrs.evolve(state, work=None, is_going_home=work.probe is None)
            return home, [Send(COORDINATOR, _outcome(state, work, result))]
        case _:
            return state, []


def _outcome(state: AgentState, work: Work, trained: Trained) -> RoundResult | ProbeReport:
    order = work.order
    report = attrs.evolve(trained.report, downlink_bytes_per_s=state.downlink.bytes_per_s)
    if work.probe:
        return ProbeReport(order.run, work.attempt, order.cut, report, work.probe.ballast)
    return RoundResult(order.run, work.attempt, trained.samples, trained.tensors, report)


def _belongs(task: object, work: Work) -> bool:
    match task:
        case FindProgram(digest):
            return work.phase == "finding" and digest == work.order.program
        case StoreProgram(digest):
            return work.phase == "storing" and digest == work.order.program
        case Begin(order):
            return work.phase == "beginning" and order is work.order
        case Forward(attempt, step, micro_batch) | Backward(attempt, step, micro_batch):
            place = (work.attempt, work.step, work.micro_batch)
            return work.phase in ("forward", "backward") and (attempt, step, micro_batch) == place
        case Finish(attempt):
            return work.phase == "finishing" and attempt == work.attempt
    return False


def _stepped(state: AgentState, work: Work) -> Outcome:
    if work.micro_batch + 1 < work.order.micro_batches:
        return _forward(state, attrs.evolve(work, micro_batch=work.micro_batch + 1))
    if work.step + 1 < work.order.recipe.local_steps:
        return _forward(state, attrs.evolve(work, step=work.step + 1, micro_batch=0))
    return _advance(state, work, "finishing", Finish(work.attempt))


def _forward(state: AgentState, work: Work) -> Outcome:
    return _advance(state, work, "forward", Forward(work.attempt, work.step, work.micro_batch))


def _advance(state: AgentState, work: Work, phase: Phase, task: object) -> Outcome:
    return attrs.evolve(state, work=attrs.evolve(work, phase=phase)), [Submit(task)]


def _failed(state: AgentState, task: object, reason: str) -> Outcome:
    work = state.work
    if work is None or not _belongs(task, work):
        return state, []
    refusal = Refusal(work.order.run, work.attempt, reason)
    entry = {"event": "attempt refused", "round": work.attempt.round, "reason": reason}
    return attrs.evolve(state, work=None), [Send(COORDINATOR, refusal), Record("events", entry)]
