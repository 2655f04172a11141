"""Who belongs to the fleet, and how each device stands: the one place that knows.

absent -> joining -> profiling -> ready <-> training; lost, left or refused from any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Literal

import attrs
from attrs import field, frozen

from runtime.ids import DeviceId
from runtime.presence import DevicePresence

Standing = Literal["absent", "joining", "profiling", "ready", "training", "lost", "left", "refused"]

LOSSES_BORNE = 3
LOSSES_WITHIN_S = 300.0
FIRST_REST_S = 30.0
LONGEST_REST_S = 1800.0
"""A device that is lost three times within five minutes rests; each time for twice as long."""
_STRANGERS_KEPT = 100


@frozen
class Member:
    """A device that has announced itself. `lost_at_s` is None while it is heard.

    It is lost by its will, or when it is `silent`: nothing came from it during its lease.
    """

    birth: DevicePresence
    silent: bool = False
    lost_at_s: float | None = None
    losses_at_s: tuple[float, ...] = ()
    rests: int = 0
    rests_until_s: float | None = None

    @property
    def is_lost(self) -> bool:
        """Tells whether it is expected to come back by itself."""
        return self.birth.status == "lost" or (self.silent and self.birth.status == "online")

    @property
    def is_here(self) -> bool:
        """Tells whether it is heard, and means to stay."""
        return self.birth.status == "online" and not self.silent and not self.birth.leaving

    @property
    def has_left(self) -> bool:
        """Tells whether it took its leave."""
        return self.birth.status not in ("online", "lost")

    def comes_back_as(self, birth: DevicePresence) -> bool:
        """Tells whether a new life is that of the same board, as far as anybody can see.

        One that took its leave may have been altered meanwhile; one that was killed was not asked.
        """
        before = attrs.evolve(self.birth, incarnation=birth.incarnation, status=birth.status)
        return not self.has_left and before == birth

    def told(self, birth: DevicePresence, now: float) -> Member:
        """Returns the member after it, or its will, announced something."""
        silent = self.silent and birth.status == "lost"
        return attrs.evolve(self, birth=birth, silent=silent)._timed(now)

    def heard(self, silent: bool, now: float) -> Member:
        """Returns the member after its lease ran out, or was renewed."""
        return attrs.evolve(self, silent=silent)._timed(now)

    def _timed(self, now: float) -> Member:
        if not self.is_lost:
            return attrs.evolve(self, lost_at_s=None)
        if self.lost_at_s is not None:
            return self
        recent = tuple(at_s for at_s in self.losses_at_s if now - at_s < LOSSES_WITHIN_S)
        lost = attrs.evolve(self, lost_at_s=now, losses_at_s=(*recent, now))
        return lost._rest(now) if len(lost.losses_at_s) >= LOSSES_BORNE else lost

    def _rest(self, now: float) -> Member:
        until_s = now + rest_s(self.rests)
        return attrs.evolve(self, losses_at_s=(), rests=self.rests + 1, rests_until_s=until_s)


def rest_s(rests: int) -> float:
    """Returns how long a device is left out that has rested so often before."""
    return min(FIRST_REST_S * 2.0**rests, LONGEST_REST_S)


@frozen
class Membership:
    """The devices that have announced themselves, and those that were turned away."""

    members: Mapping[DeviceId, Member] = field(factory=dict)
    refused: Mapping[DeviceId, str] = field(factory=dict)

    def get(self, device: DeviceId) -> Member | None:
        return self.members.get(device)

    def having(self, member: Member) -> Membership:
        """Returns the membership with a member as it now is."""
        return attrs.evolve(self, members={**self.members, member.birth.device: member})

    def refusing(self, device: DeviceId, reason: str) -> Membership | None:
        """Returns the membership after a refusal; None if that was told, or names run wild."""
        if self.refused.get(device) == reason:
            return None
        if device not in self.refused and len(self.refused) >= _STRANGERS_KEPT + len(self.members):
            return None
        return attrs.evolve(self, refused={**self.refused, device: reason})

    def welcoming(self, device: DeviceId) -> Membership:
        """Returns the membership after a device that was refused came back mended."""
        rest = {name: reason for name, reason in self.refused.items() if name != device}
        return attrs.evolve(self, refused=rest) if device in self.refused else self

    def rested(self, now: float) -> Membership:
        """Returns the membership without the rests that are over."""
        over = [
            attrs.evolve(one, rests_until_s=None)
            for one in self.members.values()
            if one.rests_until_s is not None and one.rests_until_s <= now
        ]
        awake = self
        for member in over:
            awake = awake.having(member)
        return awake

    @cached_property
    def here(self) -> frozenset[DeviceId]:
        """The devices that are heard and mean to stay."""
        return frozenset(name for name, one in self.members.items() if one.is_here)

    @cached_property
    def usable(self) -> frozenset[DeviceId]:
        """The devices that are here and do not rest."""
        found = self.members.items()
        return frozenset(name for name, one in found if one.is_here and one.rests_until_s is None)

    @cached_property
    def expected(self) -> frozenset[DeviceId]:
        """The devices that are here, or lost and on their way back."""
        found = self.members.items()
        return frozenset(name for name, one in found if one.is_here or one.is_lost)
