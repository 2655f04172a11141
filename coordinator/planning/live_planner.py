"""Plans every round anew from what was measured so far."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property

from attrs import evolve, field, frozen

from coordinator.plan import Assignment, Knowledge, Plan, Prediction
from coordinator.planning.cut_costs import CutCosts, ModelSize, StepShape, cut_costs
from coordinator.planning.head_start import with_head_starts
from coordinator.planning.hysteresis import Hysteresis
from coordinator.planning.lending import guaranteed
from coordinator.planning.link import Link, Way
from coordinator.planning.newcomers import solve_with_room
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
from coordinator.profiling.device_profile import DeviceProfile, StepTime
from runtime.ids import DeviceId

_STEP_OVERHEAD_BYTES = 1000
"""Topics, headers, offers, grants and receipts around a step's letter; see docs/protocol.md."""
_UNSEEN_BYTES_PER_S = 1e9
"""Stands for a link of which too few bytes were seen to tell its rate."""


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
        solution = self._solved(round, problem, knowledge)
        if isinstance(solution, Infeasible):
            left_out = (*absent, *solution.left_out)
            told = "; ".join(f"{one.device}: {one.reason}" for one in absent)
            reason = solution.reason if problem.devices else told or solution.reason
            return evolve(solution, reason=reason, left_out=left_out)
        foretold = with_head_starts(problem, solution) if self.static_shares else solution
        # What is proved is how near the solver came, whatever buckets give on top.
        return self._told(round, foretold, absent, knowledge, gap=solution.gap)

    def _solved(self, round: int, problem: Problem, knowledge: Knowledge) -> Solution | Infeasible:
        """Solves the problem; a run that has begun goes on without those for whom is no room."""
        previous = knowledge.previous
        before = {one.device: one.cut for one in previous.assignments} if previous else {}

        def solve(problem: Problem) -> Solution | Infeasible:
            return self.hysteresis.solve(problem, self.solver, before, knowledge.rounds_left)

        has_begun = round > 1 or previous is not None
        return solve_with_room(problem, solve, before) if has_begun else solve(problem)

    def problem(self, round: int, knowledge: Knowledge) -> tuple[tuple[LeftOut, ...], Problem]:
        """Returns who cannot take part at all, and the problem of the others."""
        devices, absent = [], []
        servers_s = {
            batch: {cut: knowledge.server.step_s(work) for cut, work in works.items()}
            for batch, works in self.survey.works.items()
        }
        for device in sorted(self.survey.batches):
            profile = knowledge.profiles.get(device, DeviceProfile())
            if device not in knowledge.present:
                absent.append(LeftOut(device, NOT_HERE))
            elif not profile.probed:
                reasons = "; ".join(f"cut {cut}: {why}" for cut, why in profile.refused.items())
                absent.append(LeftOut(device, f"no cut could be measured: {reasons}"))
            else:
                server_s = servers_s[self.survey.batches[device]]
                devices.append(self._device(device, profile, server_s))
        problem = evolve(self.limits, devices=tuple(devices))
        if not self.turns:
            return tuple(absent), problem
        waiting, alone = self._in_turn(round, problem)
        return (*absent, *waiting), alone

    def _in_turn(self, round: int, problem: Problem) -> tuple[tuple[LeftOut, ...], Problem]:
        """Returns who is left out, and the problem of the device that has its turn.

        Only those have one whom an option fits: a turn that nobody can take would end the run.
        """
        answer = self.solver.solve(problem)
        if isinstance(answer, Infeasible):
            return (), problem
        able = [one.device for one in answer.devices]
        turn = able[(round - 1) % len(able)]
        later = (LeftOut(name, "it has its turn later") for name in able if name != turn)
        alone = tuple(one for one in problem.devices if one.id == turn)
        return (*answer.left_out, *later), evolve(problem, devices=alone)

    def _device(
        self, device: DeviceId, profile: DeviceProfile, server_s: Mapping[str, float]
    ) -> DeviceProblem:
        batch = self.survey.batches[device]
        costs, loads = self._costs[batch], self.survey.loads[batch]
        possible = tuple(cut.name for cut in self.survey.offered(profile))
        link = Link(
            profile.uplink.value or _UNSEEN_BYTES_PER_S,
            profile.downlink.value or _UNSEEN_BYTES_PER_S,
            profile.round_trip.value,
            self.limits.uplink_bytes_per_s or math.inf,
            self.limits.downlink_bytes_per_s or math.inf,
        )
        if profile.transfers_at in possible:
            link = link.slowed(self._pace(link, costs[profile.transfers_at], profile))
        up, down = link.ways
        steps = profile.step_times({cut: loads[cut] for cut in possible})
        return DeviceProblem(
            id=device,
            options=tuple(
                _option(costs[cut], steps[cut], server_s[cut], up, down) for cut in possible
            ),
            uplink_bytes_per_s=link.up_bytes_per_s,
            downlink_bytes_per_s=link.down_bytes_per_s,
            memory_bytes=_room_bytes(profile, [costs[cut] for cut in possible]),
        )

    def _pace(self, link: Link, costs: CutCosts, profile: DeviceProfile) -> float:
        """Returns how many times longer real transfers take than the rates of the link foretell.

        Where devices share a budget they also wait for each other, which is none of the link's.
        """
        up, down = link.ways
        foretold_s = up.transfer_s(costs.up_bytes) + down.transfer_s(costs.down_bytes)
        if not profile.transfers.value or not foretold_s:
            return 1.0
        pace = profile.transfers.value / foretold_s
        shared = self.limits.uplink_bytes_per_s or self.limits.downlink_bytes_per_s
        return min(1.0, pace) if shared else pace

    @cached_property
    def _costs(self) -> Mapping[int, Mapping[str, CutCosts]]:
        """What every cut costs, by batch and by cut."""
        return {batch: self._costs_of(batch) for batch in set(self.survey.batches.values())}

    def _costs_of(self, batch: int) -> dict[str, CutCosts]:
        shape = StepShape(batch, batch * self.labels_bytes, _STEP_OVERHEAD_BYTES)
        return {
            cut.name: cut_costs(cut, self.survey.codecs, self.model, shape)
            for cut in self.survey.cuts
        }

    def _told(
        self,
        round: int,
        solution: Solution,
        absent: tuple[LeftOut, ...],
        knowledge: Knowledge,
        *,
        gap: float,
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
                gap=gap,
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


def _option(costs: CutCosts, step: StepTime, server_s: float, up: Way, down: Way) -> Option:
    """Returns an option with what letters wait for before they flow, whatever the rates."""
    waits_s = up.wait_s(costs.up_bytes), down.wait_s(costs.down_bytes)
    return costs.option(step.forward_s, step.backward_s, server_s, *waits_s)


def _room_bytes(profile: DeviceProfile, possible: Sequence[CutCosts]) -> float:
    """Returns what a board has for programs: no less than those take that ran in its probes.

    They are counted by the estimate that options are held against.
    """
    ran = [one.device_memory_bytes for one in possible if one.cut in profile.probed]
    return max([profile.memory_bytes, *ran])


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


def _weights(solution: Solution) -> dict[DeviceId, Rates]:
    """Returns each device's weights in both directions, in parts of the mean."""
    rates = guaranteed(solution)
    up = sum(one.up_bytes_per_s for one in rates) / len(rates)
    down = sum(one.down_bytes_per_s for one in rates) / len(rates)
    return {
        plan.device: Rates(one.up_bytes_per_s / up, one.down_bytes_per_s / down)
        for plan, one in zip(solution.devices, rates, strict=True)
    }
