"""How long a round takes when shares lend: a fluid model of links, boards and the server's queue.

Static shares foretell too much: a device that computes leaves its share to the others, at best of
ours 1.3 to 1.6 times (`docs/design.md`). Here each device walks through its phases, links flow at
weighted max-min fair rates of those who send right now, and steps queue for the server's workers.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from attrs import define, field, frozen

from coordinator.planning.problem import Problem, Rates, RoundTerms
from coordinator.planning.solution import DevicePlan

_STATE_DOWN, _FORWARD, _UPLOAD, _QUEUED, _SERVED, _DOWNLOAD, _BACKWARD, _STATE_UP, _HOME = range(9)
_COMPUTES = (_FORWARD, _SERVED, _BACKWARD)
_DUST = 1e-9


def lent_terms(
    problem: Problem,
    plans: Sequence[DevicePlan],
    weights: Sequence[Rates],
    *,
    steps: int,
) -> tuple[RoundTerms, ...]:
    """Returns where the time of every device goes, in the order of `plans`.

    `weights` share out both directions among those that send. A term counts all the time until
    it is over: uploads what they wait for others, the server's what a step waits in the queue.
    `steps` are played at most; the rest of the round goes on as they did.
    """
    devices = {device.id: device for device in problem.devices}
    links = [devices[plan.device] for plan in plans]
    up = Link(
        problem.uplink_bytes_per_s or math.inf,
        [one.uplink_bytes_per_s for one in links],
        [one.up_bytes_per_s for one in weights],
    )
    down = Link(
        problem.downlink_bytes_per_s or math.inf,
        [one.downlink_bytes_per_s for one in links],
        [one.down_bytes_per_s for one in weights],
    )
    played = min(problem.local_steps, steps)
    spent = _Play(problem, [_amounts(plan) for plan in plans], up, down).run(played)
    return tuple(_terms(row, problem.local_steps / played) for row in spent)


@frozen
class Link:
    """One direction of the shared link: its rate, and the senders' own caps and weights."""

    limit_bytes_per_s: float
    caps: Sequence[float]
    weights: Sequence[float]

    def rates(self, senders: Sequence[int]) -> list[float]:
        """Returns weighted max-min fair rates of those who send now, none above its cap."""
        caps = self.caps
        rates = {one: caps[one] for one in senders}
        left, weight = self.limit_bytes_per_s, sum(self.weights[one] for one in senders)
        if sum(rates.values()) > left:
            for one in sorted(senders, key=lambda one: caps[one] / self.weights[one]):
                rates[one] = min(caps[one], left * self.weights[one] / weight)
                left, weight = left - rates[one], weight - self.weights[one]
        return [rates[one] for one in senders]


def _amounts(plan: DevicePlan) -> list[float]:
    """Returns what each phase takes: seconds of work or bytes."""
    option = plan.option
    return [
        option.state_bytes,
        option.forward_s,
        option.up_bytes,
        0.0,
        option.server_s,
        option.down_bytes,
        option.backward_s,
        option.state_bytes,
        0.0,
    ]


def _terms(spent: Sequence[float], scale: float) -> RoundTerms:
    """Returns the terms, those of the steps `scale` times what was played."""
    return RoundTerms(
        state_down_s=spent[_STATE_DOWN],
        forward_s=scale * spent[_FORWARD],
        upload_s=scale * spent[_UPLOAD],
        server_s=scale * (spent[_QUEUED] + spent[_SERVED]),
        download_s=scale * spent[_DOWNLOAD],
        backward_s=scale * spent[_BACKWARD],
        state_up_s=spent[_STATE_UP],
    )


@define
class _Play:
    """A round being played; lists have an entry for each device.

    Plain lists: fleets that are foretold so are small, and arrays cost more than they save.
    """

    problem: Problem
    amounts: list[list[float]]
    up: Link
    down: Link
    _phase: list[int] = field(init=False)
    _left: list[float] = field(init=False)
    _speed: list[float] = field(init=False)
    _steps: list[int] = field(init=False)
    _queue: deque[int] = field(factory=deque, init=False)
    _busy: int = field(default=0, init=False)

    def run(self, steps: int) -> list[list[float]]:
        """Plays `steps` local steps and what surrounds them; returns seconds by phase."""
        everybody = range(len(self.amounts))
        self._phase = [_STATE_DOWN for _ in everybody]
        self._steps = [steps for _ in everybody]
        self._left = [amounts[_STATE_DOWN] for amounts in self.amounts]
        self._speed = [0.0 for _ in everybody]
        self._settle([one for one in everybody if self._left[one] == 0.0])
        spent = [[0.0] * len(amounts) for amounts in self.amounts]
        while active := [one for one in everybody if self._speed[one] > 0.0]:
            elapsed_s = min(self._left[one] / self._speed[one] for one in active)
            for one in everybody:
                spent[one][self._phase[one]] += elapsed_s
            done = []
            for one in active:
                self._left[one] -= elapsed_s * self._speed[one]
                if self._left[one] <= _DUST * self._speed[one]:
                    done.append(one)
            self._settle(done)
        return spent

    def _settle(self, done: list[int]) -> None:
        """Takes every device that is done with its phase to the next that takes time."""
        for one in done:
            self._left[one] = 0.0
            while self._left[one] == 0.0 and self._phase[one] not in (_QUEUED, _HOME):
                self._enter_next(one)
        while self._queue and self._busy < self.problem.server_workers:
            self._busy += 1
            self._enter(self._queue.popleft(), _SERVED)
        self._flow(self.up, (_UPLOAD, _STATE_UP))
        self._flow(self.down, (_STATE_DOWN, _DOWNLOAD))

    def _flow(self, link: Link, phases: tuple[int, int]) -> None:
        senders = [one for one, phase in enumerate(self._phase) if phase in phases]
        for one, rate in zip(senders, link.rates(senders), strict=True):
            self._speed[one] = rate

    def _enter_next(self, one: int) -> None:
        phase = self._phase[one]
        if phase == _SERVED:
            self._busy -= self.amounts[one][_SERVED] > 0
        if phase == _BACKWARD:
            self._steps[one] -= 1
            self._enter(one, _FORWARD if self._steps[one] else _STATE_UP)
        elif phase == _UPLOAD and self.amounts[one][_SERVED] > 0:
            self._enter(one, _QUEUED)
            self._queue.append(one)
        else:
            self._enter(one, _SERVED if phase == _UPLOAD else phase + 1)

    def _enter(self, one: int, phase: int) -> None:
        self._phase[one] = phase
        self._left[one] = self.amounts[one][phase]
        self._speed[one] = 1.0 if phase in _COMPUTES else 0.0
