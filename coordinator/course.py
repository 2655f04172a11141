"""The course of a round: attempts begin, fail, are dropped and come home, until it closes."""

from __future__ import annotations

from typing import Any

import attrs

from coordinator.dropped import Dropped
from coordinator.duty import Duty
from coordinator.plan import Assignment, Plan
from coordinator.roll import Roll
from coordinator.round_entry import round_entry, timed
from coordinator.state import CoordinatorState, Outcome
from coordinator.tasks import CloseRound, Prepare, Prepared
from runtime.effects import Halt, Record, Submit, Wake
from runtime.evolution import evolve
from runtime.exits import Exit
from runtime.ids import DeviceId
from runtime.letters import AttemptKey
from runtime.machine_effects import Announce, Cap, MachineEffect, Send, Weigh

FAILURES_ALLOWED = 5
"""Attempts of one device at one round that may fail before the run, or the device, is given up."""


def happened(name: str, **facts: Any) -> Record:
    """Returns the record of an event."""
    return Record("events", {"event": name, **facts})


def begin_round(state: CoordinatorState, plan: Plan, now: float) -> Outcome:
    """Gives every device its part; those that are not there are dropped, or waited for."""
    effects: list[MachineEffect] = []
    attempt = AttemptKey(state.round, state.attempts_made + 1)
    begun = {
        one.device: Duty(one, attempt, phase="preparing")
        for one in plan.assignments
        if one.device in state.present
    }
    made = attempt.number if begun else state.attempts_made
    state = attrs.evolve(
        state, stage="training", trains_since_s=now, attempts_made=made, duties=Roll(begun)
    )
    for one in plan.assignments:
        down = one.weight if one.weight_down is None else one.weight_down
        effects += [Weigh(one.device, one.weight, down), _cap(one)]
        if one.device in begun:
            effects.append(Submit(Prepare(one, attempt)))
        else:
            reason = f"it is {state.standing(one.device)}"
            state, more = _note_dropped(state, Duty(one, attempt), reason, now)
            effects += more
    settled, more = settle(state)
    return settled, effects + more


def _cap(one: Assignment) -> Cap:
    """Holds a device to its static shares, or lifts those of an earlier plan."""
    if one.caps is None:
        return Cap(one.device, None, None)
    return Cap(one.device, one.caps.up_bytes_per_s, one.caps.down_bytes_per_s)


def _begin_attempt(state: CoordinatorState, duty: Duty) -> Outcome:
    begun = attrs.evolve(duty, phase="preparing")
    made = max(state.attempts_made, duty.attempt.number)
    state = attrs.evolve(state, attempts_made=made)
    return state.with_duty(begun), [Submit(Prepare(duty.assignment, duty.attempt))]


def order(state: CoordinatorState, duty: Duty, prepared: Prepared, now: float) -> Outcome:
    """Sends a device its order."""
    position = state.positions.get(duty.device, 0)
    letter = duty.order(state.run, state.recipe, position, prepared.program, prepared.tensors)
    training = evolve(duty, phase="training", watch=duty.watch.ordered(now))
    return state.with_duty(training), [Send(duty.device, letter)]


def reborn(state: CoordinatorState, device: DeviceId) -> Outcome:
    """Begins the part of a device again, whose earlier life took it along."""
    duty = state.duties.get(device)
    if state.stage != "training" or duty is None or duty.is_home:
        return state, []
    if duty.phase == "preparing":
        # What is made ready for its earlier life will do for this one: births come in floods.
        return state, []
    return _begin_attempt(state, duty.again())


def drop(state: CoordinatorState, device: DeviceId, reason: str, now: float) -> Outcome:
    """Goes on without a device, unless its result is with us."""
    duty = state.duties.get(device)
    if state.stage != "training" or duty is None or duty.is_home:
        return state, []
    state, effects = _give_up(state, device, reason, now)
    settled, more = settle(state)
    return settled, effects + more


def drop_late(state: CoordinatorState, now: float) -> Outcome:
    """Goes on without all that have not come home, when a quorum has and the time is over."""
    home = [duty for duty in state.duties.values() if duty.is_home]
    if state.stage != "training" or len(home) < state.closing_quorum:
        return state, []
    effects: list[MachineEffect] = []
    reason = f"it was not home after {now - state.trains_since_s:.0f} s"
    for device, duty in sorted(state.duties.items()):
        if not duty.is_home:
            state, more = _give_up(state, device, reason, now)
            effects += more
    settled, more = settle(state)
    return settled, effects + more


def _give_up(state: CoordinatorState, device: DeviceId, reason: str, now: float) -> Outcome:
    duty = state.duties[device]
    if duty.phase in ("preparing", "serving"):
        at_work = state.lingering | {(device, duty.attempt)}
        state = attrs.evolve(state, lingering=at_work)
    return _note_dropped(state.without_duty(device), duty, reason, now)


def _note_dropped(state: CoordinatorState, duty: Duty, reason: str, now: float) -> Outcome:
    gone = Dropped(duty, reason, now - state.round_began_at_s)
    told = happened("device dropped", device=duty.device, round=state.round, reason=reason)
    return attrs.evolve(state, dropped=(*state.dropped, gone)), [told]


def worked(state: CoordinatorState, device: DeviceId, attempt: AttemptKey) -> Outcome:
    """Notes that the server is done with a task of an attempt."""
    if (device, attempt) not in state.lingering:
        return state, []
    rest = state.lingering - {(device, attempt)}
    return settle(attrs.evolve(state, lingering=rest))


def settle(state: CoordinatorState) -> Outcome:
    """Closes a round that is complete; calls devices back into one that is short of them."""
    if state.stage != "training":
        return state, []
    state, effects = _call_back(state)
    at_work = any(duty.phase != "returned" for duty in state.duties.values())
    if at_work or state.lingering:
        return state, effects
    if not state.duties or state.is_forsaken:
        # Too little is left of the round: it is planned again, when somebody is there.
        logged = {round: plan for round, plan in state.logged.items() if round != state.round}
        replayed = {round: plan for round, plan in state.replayed.items() if round != state.round}
        again = attrs.evolve(
            state,
            stage="surveying",
            logged=logged,
            replayed=replayed,
            attempts_made=state.attempts_made + 1,
        )
        return again, [*effects, happened("round made again", round=state.round)]
    if state.is_short:
        return state, effects
    positions = tuple(sorted(state.positions_after.items()))
    close = CloseRound(state.round, tuple(sorted(state.duties)), positions, _entry(state))
    survey = state.survey and state.survey.noted(state.duties.values(), state.round_began_at_s)
    # Woken at once, we plan the next round while this one is closed.
    soon = [Wake(state.home_at_s)] if survey else []
    # Failures do not count in the next round, which is planned from here on.
    closing = attrs.evolve(state, stage="closing", survey=survey, given_up=frozenset())
    return closing, [*effects, Submit(close), *soon]


def _entry(state: CoordinatorState) -> dict[str, Any]:
    assert state.plan is not None
    return round_entry(
        state.plan,
        state.duties.values(),
        state.recipe.local_steps,
        dropped=state.dropped,
        began_s=state.round_began_at_s,
    )


def _call_back(state: CoordinatorState) -> Outcome:
    effects: list[MachineEffect] = []
    for gone in state.dropped:
        able = gone.device in state.fleet.here - state.given_up
        if state.is_short and able:
            rest = tuple(one for one in state.dropped if one is not gone)
            state, more = _begin_attempt(attrs.evolve(state, dropped=rest), gone.duty.again())
            effects += more
    return state, effects


def fail(state: CoordinatorState, device: DeviceId, reason: str, now: float) -> Outcome:
    """Ends an attempt that went wrong and begins another, a bounded number of times."""
    duty = state.duties.get(device)
    if duty is None or duty.phase == "returned":
        return state, [happened("failed", device=device, reason=reason)]
    failed = attrs.evolve(duty, failures=duty.failures + 1)
    if failed.failures < FAILURES_ALLOWED:
        begun, effects = _begin_attempt(state, failed.again())
        return begun, [happened("attempt failed", device=device, reason=reason), *effects]
    return _failed_for_good(state, failed, reason, now)


def _failed_for_good(state: CoordinatorState, duty: Duty, reason: str, now: float) -> Outcome:
    """Gives a device up, or the run, where that waits for every device or has no quorum left."""
    device, failures = duty.device, duty.failures
    state = attrs.evolve(state, given_up=state.given_up | {device})
    has_quorum = len(set(state.devices) - state.given_up) >= state.quorum
    if state.policy.drops and has_quorum:
        # What it brought home did not serve: it has no part in the round until it is given one.
        state = state.with_duty(attrs.evolve(duty, phase="training"))
        return drop(state, device, f"it failed {failures} times: {reason}", now)
    text = f"{device} failed {failures} times in round {state.round}: {reason}"
    if state.policy.drops:
        text += f"; without it there is no quorum of {state.quorum}: mend it and resume"
    return attrs.evolve(state, stage="finished"), [Halt(Exit.FLEET, text)]


def closed(state: CoordinatorState, entry: dict[str, Any], now: float) -> Outcome:
    """Puts a closed round on record, as its checkpoint holds it."""
    effects: list[MachineEffect] = [Record("rounds", timed(entry, state.round_began_at_s, now))]
    survey = state.survey and state.survey.closed(now - state.home_at_s, now)
    state = attrs.evolve(
        state,
        positions=state.positions_after,
        survey=survey,
        duties=Roll(),
        dropped=(),
        attempts_made=0,
        waits_since_s=None,
    )
    if state.round < state.recipe.rounds:
        return attrs.evolve(state, round=state.round + 1, stage="surveying"), effects
    finished = attrs.evolve(state, stage="finished")
    return finished, [*effects, Announce(finished.presence), Halt(Exit.OK, "the job is done")]
