"""Plans every round anew from what was measured so far."""

from __future__ import annotations

import math

from attrs import evolve, field, frozen

from coordinator.plan import Assignment, Knowledge, Plan, Prediction
from coordinator.planning.hysteresis import Hysteresis
from coordinator.planning.lending import guaranteed
from coordinator.planning.options import (
    BoardProfile,
    CutTimes,
    ModelSize,
    StepShape,
    build_options,
)
from coordinator.planning.problem import DeviceProblem, Option, Problem, Rates, RoundTerms
from coordinator.planning.solution import (
    NOT_HERE,
    DevicePlan,
    Infeasible,
    LeftOut,
    Solution,
    Solver,
)
from coordinator.profiling.cut_survey import CutSurvey
from coordinator.profiling.device_profile import DeviceProfile
from coordinator.profiling.server_profile import ServerProfile
from runtime.ids import DeviceId
from runtime.topics import INLINE_LIMIT_BYTES
from runtime.transfers.link_rate import ahead_bytes_at, chunk_bytes_at

_STEP_OVERHEAD_BYTES = 1000
"""Topics, headers, offers, grants and receipts around a step's letter; see docs/protocol.md."""
_UNSEEN_BYTES_PER_S = 1e9
"""Stands for a link of which too few bytes were seen to tell its rate."""


@frozen
class _Link:
    """A device's link to the broker; and the one that all share, between broker and coordinator."""

    up_bytes_per_s: float
    down_bytes_per_s: float
    round_trip_s: float
    shared_up_bytes_per_s: float = math.inf
    shared_down_bytes_per_s: float = math.inf

    def transfers_s(self, option: Option) -> float:
        """Returns the time of a step's two transfers on the idle link."""
        up_s = option.up_bytes / self.up_bytes_per_s + self.up_wait_s(option)
        return up_s + option.down_bytes / self.down_bytes_per_s + self.down_wait_s(option)

    def up_wait_s(self, option: Option) -> float:
        """Returns what activations wait for, which no rate can shorten."""
        message_bytes = chunk_bytes_at(self.up_bytes_per_s, self.shared_up_bytes_per_s)
        relayed_s = _relayed_s(
            min(option.up_bytes, message_bytes), self.up_bytes_per_s, self.shared_up_bytes_per_s
        )
        return _trips(option.up_bytes) * self.round_trip_s + relayed_s

    def down_wait_s(self, option: Option) -> float:
        """The same of gradients; one that is small for the link goes unasked, in one message."""
        shared = self.shared_down_bytes_per_s
        ahead_bytes = min(ahead_bytes_at(self.down_bytes_per_s), chunk_bytes_at(math.inf, shared))
        unasked_bytes = max(INLINE_LIMIT_BYTES, ahead_bytes)
        message_bytes = option.down_bytes
        if message_bytes > unasked_bytes:
            message_bytes = min(message_bytes, chunk_bytes_at(self.down_bytes_per_s, shared))
        relayed_s = _relayed_s(message_bytes, self.down_bytes_per_s, shared)
        return _trips(option.down_bytes, unasked_bytes) * self.round_trip_s + relayed_s

    def slowed(self, pace: float) -> _Link:
        """Returns a link on which everything takes `pace` times as long."""
        up, down = self.up_bytes_per_s / pace, self.down_bytes_per_s / pace
        return evolve(
            self,
            up_bytes_per_s=up,
            down_bytes_per_s=down,
            round_trip_s=self.round_trip_s * pace,
        )


@frozen
class LivePlanner:
    """Turns knowledge into a problem, a solver's answer into a plan, and keeps cuts steady.

    `limits` is a problem without devices: local steps, budgets, workers, server memory. With
    `static_shares` every device is held to the rates that the solver gave it. With `turns` a
    round belongs to one device alone, and what it learns goes on to the next.
    `labels_bytes` are those of one sample as they travel.
    """

    solver: Solver
    survey: CutSurvey
    model: ModelSize
    limits: Problem
    labels_bytes: int = 1
    hysteresis: Hysteresis = field(factory=Hysteresis)
    static_shares: bool = False
    turns: bool = False

    def plan(self, round: int, knowledge: Knowledge) -> Plan | Infeasible:
        """Returns the plan of a round; Infeasible, with a remedy, if no device can take part."""
        absent, problem = self.problem(round, knowledge)
        before = {}
        if knowledge.previous is not None:
            before = {one.device: one.cut for one in knowledge.previous.assignments}
        rounds_left = knowledge.rounds_left
        solution = self.hysteresis.solve(problem, self.solver, before, rounds_left)
        if isinstance(solution, Infeasible):
            left_out = (*absent, *solution.left_out)
            told = "; ".join(f"{one.device}: {one.reason}" for one in absent)
            reason = solution.reason if problem.devices else told or solution.reason
            return evolve(solution, reason=reason, left_out=left_out)
        return self._told(round, solution, absent, knowledge)

    def problem(self, round: int, knowledge: Knowledge) -> tuple[tuple[LeftOut, ...], Problem]:
        """Returns who cannot take part at all, and the problem of the others."""
        devices, absent = [], []
        for device in sorted(self.survey.batches):
            profile = knowledge.profiles.get(device, DeviceProfile())
            if device not in knowledge.present:
                absent.append(LeftOut(device, NOT_HERE))
            elif not profile.probed:
                reasons = "; ".join(f"cut {cut}: {why}" for cut, why in profile.refused.items())
                absent.append(LeftOut(device, f"no cut could be measured: {reasons}"))
            else:
                devices.append(self._device(device, profile, knowledge.server))
        if self.turns and devices:
            turn = devices[(round - 1) % len(devices)]
            absent += [LeftOut(one.id, "it has its turn later") for one in devices if one != turn]
            devices = [turn]
        return tuple(absent), evolve(self.limits, devices=tuple(devices))

    def _device(
        self, device: DeviceId, profile: DeviceProfile, server: ServerProfile
    ) -> DeviceProblem:
        options = self._options(device, profile, server)
        link = _Link(
            profile.uplink.value or _UNSEEN_BYTES_PER_S,
            profile.downlink.value or _UNSEEN_BYTES_PER_S,
            profile.round_trip.value,
            self.limits.uplink_bytes_per_s or math.inf,
            self.limits.downlink_bytes_per_s or math.inf,
        )
        link = link.slowed(self._pace(link, options, profile))
        return DeviceProblem(
            id=device,
            options=tuple(_with_trips(one, link) for one in options),
            uplink_bytes_per_s=link.up_bytes_per_s,
            downlink_bytes_per_s=link.down_bytes_per_s,
            memory_bytes=profile.memory_bytes,
        )

    def _pace(self, link: _Link, options: tuple[Option, ...], profile: DeviceProfile) -> float:
        """Returns how many times longer real transfers take than the rates of the link foretell.

        Where devices share a budget they also wait for each other, which is none of the link's.
        """
        at = next((one for one in options if one.cut == profile.transfers_at), None)
        if at is None or not profile.transfers.value:
            return 1.0
        pace = profile.transfers.value / link.transfers_s(at)
        shared = self.limits.uplink_bytes_per_s or self.limits.downlink_bytes_per_s
        return min(1.0, pace) if shared else pace

    def _options(
        self, device: DeviceId, profile: DeviceProfile, server: ServerProfile
    ) -> tuple[Option, ...]:
        survey, batch = self.survey, self.survey.batches[device]
        cuts = survey.before(profile.refused)
        steps = profile.step_times({cut.name: survey.load_at(cut, batch) for cut in cuts})
        times = {
            cut.name: CutTimes(
                steps[cut.name].forward_s,
                steps[cut.name].backward_s,
                server.step_s(survey.work_at(cut, batch)),
            )
            for cut in cuts
        }
        shape = StepShape(batch, batch * self.labels_bytes, _STEP_OVERHEAD_BYTES)
        return build_options(cuts, BoardProfile(times, {}), survey.codecs, self.model, shape)

    def _told(
        self, round: int, solution: Solution, absent: tuple[LeftOut, ...], knowledge: Knowledge
    ) -> Plan:
        weights = _weights(solution)
        return Plan(
            round=round,
            planner=solution.planner,
            assignments=tuple(
                self._assignment(plan, weights[plan.device])
                for plan in sorted(solution.devices, key=lambda plan: plan.device)
            ),
            prediction=Prediction(
                round_s=solution.round_s,
                static_bound_s=solution.static_bound_s,
                free_bound_s=solution.free_bound_s,
                own_free_bound_s=solution.own_free_bound_s,
                gap=solution.gap,
                bottleneck=solution.bottleneck,
                opening_s=knowledge.opening_s,
                closing_s=knowledge.closing_s,
            ),
            left_out=(*absent, *solution.left_out),
        )

    def _assignment(self, plan: DevicePlan, weights: Rates) -> Assignment:
        return Assignment(
            device=plan.device,
            cut=plan.option.cut,
            codec_up=plan.option.codec_up,
            codec_down=plan.option.codec_down,
            batch=self.survey.batches[plan.device],
            weight=weights.up_bytes_per_s,
            weight_down=weights.down_bytes_per_s,
            caps=plan.rates if self.static_shares else None,
            predicted=_as_measured(plan, self.limits.local_steps),
        )


def _with_trips(option: Option, link: _Link) -> Option:
    """Adds what letters wait for before they flow, which no rate of a link can shorten."""
    up_wait_s, down_wait_s = link.up_wait_s(option), link.down_wait_s(option)
    return evolve(
        option,
        forward_s=option.forward_s + up_wait_s,
        backward_s=option.backward_s + down_wait_s,
        up_wait_s=up_wait_s,
        down_wait_s=down_wait_s,
    )


def _as_measured(plan: DevicePlan, local_steps: int) -> RoundTerms:
    """Returns a device's terms with all that letters wait for counted to their transfers."""
    up_s, down_s = local_steps * plan.option.up_wait_s, local_steps * plan.option.down_wait_s
    return evolve(
        plan.terms,
        forward_s=plan.terms.forward_s - up_s,
        upload_s=plan.terms.upload_s + up_s,
        download_s=plan.terms.download_s + down_s,
        backward_s=plan.terms.backward_s - down_s,
    )


def _relayed_s(message_bytes: float, own_bytes_per_s: float, shared_bytes_per_s: float) -> float:
    """Returns what the shared hop adds to transfers over a slower link of the device's own.

    The broker passes a message on when it is there as a whole, so that one message's time comes on
    top. A link that was measured as fast as the shared one was measured through it, and is faster.
    """
    slower = max(0.0, 1 - own_bytes_per_s / shared_bytes_per_s)
    return slower * message_bytes / shared_bytes_per_s


def _trips(size_bytes: float, unasked_bytes: float = INLINE_LIMIT_BYTES) -> float:
    """A small letter travels in its offer; a large one waits for offer and grant."""
    if size_bytes == 0:
        return 0.0
    return 0.5 if size_bytes <= unasked_bytes else 1.5


def _weights(solution: Solution) -> dict[DeviceId, Rates]:
    """Returns each device's weights in both directions, in parts of the mean."""
    rates = guaranteed(solution)
    up = sum(one.up_bytes_per_s for one in rates) / len(rates)
    down = sum(one.down_bytes_per_s for one in rates) / len(rates)
    return {
        plan.device: Rates(one.up_bytes_per_s / up, one.down_bytes_per_s / down)
        for plan, one in zip(solution.devices, rates, strict=True)
    }
