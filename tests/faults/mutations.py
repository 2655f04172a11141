"""Defects planted into the code of recovery, to prove that schedules find such."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from coordinator import gathering, machine
from coordinator.null import NullExecutor
from coordinator.state import CoordinatorState
from coordinator.tasks import Prepare
from runtime.letters import Step
from runtime.transfers.courier import Courier
from runtime.transfers.credit import Credit
from runtime.transfers.inbox import Inbox
from runtime.transfers.outbox import Outbox
from runtime.vigil import Vigil

Plant = Callable[[pytest.MonkeyPatch], None]


def without_the_incarnation_check(patch: pytest.MonkeyPatch) -> None:
    """Frames of any session are taken for those of the present one."""
    honest = Courier.received

    def received(self: Courier, peer: Any, frame: Any, now: float) -> Any:
        exchange = self._sessions.get(peer)
        known = attrs.evolve(frame, session=exchange.session) if exchange else frame
        return honest(self, peer, known, now)

    patch.setattr(Courier, "received", received)


def without_the_reset_of_replicas(patch: pytest.MonkeyPatch) -> None:
    """A new attempt goes on with the replica of the one before it."""
    honest = NullExecutor.run

    def run(self: NullExecutor, task: Any) -> Any:
        before = dict(self._replicas)
        result = honest(self, task)
        if isinstance(task, Prepare) and task.attempt.number > 1:
            self._replicas.update(before)
        return result

    patch.setattr(NullExecutor, "run", run)


def with_credit_granted_twice(patch: pytest.MonkeyPatch) -> None:
    """What is granted to one peer is not taken from the budget of all."""
    patch.setattr(Credit, "settle", lambda self, peer, account, inbox, now: None)


def with_stale_steps_accepted(patch: pytest.MonkeyPatch) -> None:
    """A step of an attempt that is over counts as one of the attempt in hand."""
    honest = machine._received

    def received(state: Any, peer: Any, letter: Any, traffic: Any, now: float) -> Any:
        duty = state.duties.get(peer)
        if isinstance(letter, Step) and duty is not None and letter.attempt != duty.attempt:
            place = {"step": duty.step, "micro_batch": duty.micro_batch}
            letter = attrs.evolve(letter, attempt=duty.attempt, **place)
        return honest(state, peer, letter, traffic, now)

    patch.setattr(machine, "_received", received)


def with_positions_forgotten(patch: pytest.MonkeyPatch) -> None:
    """The data order of a device that was dropped begins anew."""
    honest = vars(CoordinatorState)["positions_after"].fget

    def positions_after(self: CoordinatorState) -> Any:
        kept: dict[Any, int] = honest(self)
        return {device: kept[device] if device in self.duties else 0 for device in kept}

    patch.setattr(CoordinatorState, "positions_after", property(positions_after))


def without_a_retry_of_offers(patch: pytest.MonkeyPatch) -> None:
    """An offer is made once."""

    def postpone(outgoing: Any, now: float) -> None:
        outgoing.retry_at = math.inf

    patch.setattr(Outbox, "_postpone", staticmethod(postpone))


def with_endless_leases(patch: pytest.MonkeyPatch) -> None:
    """Nobody falls silent."""

    def look(self: Vigil, now: float) -> list[Any]:
        self._look_at_s = now + self.rhythm.look_s
        return []

    patch.setattr(Vigil, "look", look)


def with_letters_delivered_twice(patch: pytest.MonkeyPatch) -> None:
    """A letter that was received is not known again."""
    patch.setattr(Inbox, "_is_done", lambda self, id: False)


def without_a_new_attempt_for_a_new_life(patch: pytest.MonkeyPatch) -> None:
    """A device that was restarted is not given its part again."""
    patch.setattr(gathering, "reborn", lambda state, device: (state, []))


MUTATIONS: tuple[Plant, ...] = (
    without_the_incarnation_check,
    without_the_reset_of_replicas,
    with_credit_granted_twice,
    with_stale_steps_accepted,
    with_positions_forgotten,
    without_a_retry_of_offers,
    with_endless_leases,
    with_letters_delivered_twice,
    without_a_new_attempt_for_a_new_life,
)
