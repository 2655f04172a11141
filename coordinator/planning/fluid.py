"""How long a round takes when shares lend: a fluid model of links, boards and the server's queue.

Static shares foretell too much: a device that computes leaves its share to the others, at best of
ours 1.3 to 1.6 times (`docs/design.md`). Here each device walks through its phases, links flow at
weighted max-min fair rates of those who send right now, and steps queue for the server's workers.
"""

from __future__ import annotations

import math
from bisect import insort
from collections import deque
from collections.abc import Sequence
from functools import cached_property

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
        caps, weights, left = self.caps, self.weights, self.limit_bytes_per_s
        rates = {one: caps[one] for one in senders}
        if sum(rates.values()) > left:
            weight = sum([weights[one] for one in senders])
            for one in sorted(senders, key=self._full_at.__getitem__):
                fair = left * weights[one] / weight
                if fair < caps[one]:
                    rates[one] = fair
                left, weight = left - rates[one], weight - weights[one]
        return list(rates.values())

    @cached_property
    def _full_at(self) -> Sequence[float]:
        """How much a unit of weight must be given for each sender to reach its cap."""
        return [cap / weight for cap, weight in zip(self.caps, self.weights, strict=True)]


@define
class _Flow:
    """Those who send on a link right now, in order."""

    link: Link
    senders: list[int] = field(factory=list)
    has_changed: bool = False

    def join(self, one: int) -> None:
        insort(self.senders, one)
        self.has_changed = True

    def leave(self, one: int) -> None:
        self.senders.remove(one)
        self.has_changed = True


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


class _Play:
    """A round being played; lists have an entry for each device.

    Plain lists: fleets that are foretold so are small, and arrays cost more than they save.
    """

    def __init__(self, problem: Problem, amounts: list[list[float]], up: Link, down: Link) -> None:
        count = len(amounts)
        self._amounts = amounts
        self._workers = problem.server_workers
        self._up, self._down = _Flow(up), _Flow(down, list(range(count)))
        self._flows = {
            _UPLOAD: self._up,
            _STATE_UP: self._up,
            _STATE_DOWN: self._down,
            _DOWNLOAD: self._down,
        }
        """In what phase who sends on what."""
        self._phase = [_STATE_DOWN] * count
        self._left = [phases[_STATE_DOWN] for phases in amounts]
        self._speed = [0.0] * count
        self._spent = [[0.0] * len(phases) for phases in amounts]
        """Seconds by phase, but for those in the phase that a device is in."""
        self._spent_here = [0.0] * count
        self._steps = [0] * count
        self._queue: deque[int] = deque()
        self._busy = 0

    def run(self, steps: int) -> list[list[float]]:
        """Plays `steps` local steps and what surrounds them; returns seconds by phase."""
        self._steps = [steps] * len(self._steps)
        self._down.has_changed = True
        self._settle([one for one, left in enumerate(self._left) if left == 0.0])
        while ends_s := [
            left / speed for left, speed in zip(self._left, self._speed, strict=True) if speed > 0.0
        ]:
            self._settle(self._passed(min(ends_s)))
        for spent, phase, here_s in zip(self._spent, self._phase, self._spent_here, strict=True):
            spent[phase] = here_s
        return self._spent

    def _passed(self, elapsed_s: float) -> list[int]:
        """Lets time pass; returns who is done with its phase."""
        self._spent_here = [spent_s + elapsed_s for spent_s in self._spent_here]
        left, done = self._left, []
        for one, speed in enumerate(self._speed):
            if speed > 0.0:
                left[one] -= elapsed_s * speed
                if left[one] <= _DUST * speed:
                    done.append(one)
        return done

    def _settle(self, done: list[int]) -> None:
        """Takes every device that is done with its phase to the next that takes time."""
        for one in done:
            self._left[one] = 0.0
            while self._left[one] == 0.0 and self._phase[one] not in (_QUEUED, _HOME):
                self._enter_next(one)
        while self._queue and self._busy < self._workers:
            self._busy += 1
            self._enter(self._queue.popleft(), _SERVED)
        for flow in (self._up, self._down):
            if flow.has_changed:
                self._share(flow)

    def _share(self, flow: _Flow) -> None:
        flow.has_changed = False
        for one, rate in zip(flow.senders, flow.link.rates(flow.senders), strict=True):
            self._speed[one] = rate

    def _enter_next(self, one: int) -> None:
        phase, serves = self._phase[one], self._amounts[one][_SERVED] > 0
        if phase == _SERVED:
            self._busy -= serves
        if phase == _BACKWARD:
            self._steps[one] -= 1
            self._enter(one, _FORWARD if self._steps[one] else _STATE_UP)
        elif phase == _UPLOAD and serves:
            self._enter(one, _QUEUED)
            self._queue.append(one)
        else:
            self._enter(one, _SERVED if phase == _UPLOAD else phase + 1)

    def _enter(self, one: int, phase: int) -> None:
        before, spent = self._phase[one], self._spent[one]
        spent[before], self._spent_here[one] = self._spent_here[one], spent[phase]
        if before in self._flows:
            self._flows[before].leave(one)
        if phase in self._flows:
            self._flows[phase].join(one)
        self._phase[one] = phase
        self._left[one] = self._amounts[one][phase]
        self._speed[one] = 1.0 if phase in _COMPUTES else 0.0
