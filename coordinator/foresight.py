"""A plan that is made while the round before is closed, so that no device waits for it."""

from __future__ import annotations

from attrs import evolve, frozen

from coordinator.plan import Knowledge, Plan


@frozen
class Foresight:
    """The plan of a round, from what was known before it could begin."""

    round: int
    knowledge: Knowledge
    plan: Plan

    def plan_for(self, round: int, knowledge: Knowledge) -> Plan | None:
        """Returns the plan of `round`; None if anything has changed since that it hangs on."""
        if (round, knowledge) != (self.round, self.knowledge):
            return None
        prediction = self.plan.prediction and evolve(
            self.plan.prediction, opening_s=knowledge.opening_s, closing_s=knowledge.closing_s
        )
        return evolve(self.plan, prediction=prediction)
