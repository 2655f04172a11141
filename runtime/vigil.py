"""Who is silent: leases that every received byte renews, and the pulse of a party of few words.

A connection that is open at one end only looks alive for minutes, so that liveness is told by
what arrives. A party that has sent nothing for `pulse_s` sends something small.
"""

from __future__ import annotations

import math

from attrs import frozen

from runtime.ids import DeviceId


@frozen
class Rhythm:
    """How often a party speaks at least, and how long it bears silence; in seconds.

    Silence is noticed at the latest after `lease_s` and `look_s`.
    """

    pulse_s: float = 1.5
    lease_s: float = 4.0
    look_s: float = 0.75


UNHURRIED = Rhythm(math.inf, math.inf, math.inf)
"""Never pulses and never looks: for worlds in which nothing falls silent."""


class Vigil:
    """Knows when each peer was heard. Pauses while our own connection is down.

    A party that watches nobody has nobody to pulse for.
    """

    def __init__(self, rhythm: Rhythm) -> None:
        self.rhythm = rhythm
        self._heard_at_s: dict[DeviceId, float] = {}
        self._silent: set[DeviceId] = set()
        self._look_at_s = math.inf
        self._pulse_at_s = math.inf

    def up(self, now: float) -> None:
        """Begins to pulse and to look: our connection stands, and all have a lease from now."""
        self._heard_at_s = dict.fromkeys(self._heard_at_s, now)
        self._look_at_s = now + self.rhythm.look_s
        self._pulse_at_s = now + self.rhythm.pulse_s

    def down(self) -> None:
        """Ends both: what we do not hear says nothing about others."""
        self._look_at_s = self._pulse_at_s = math.inf

    def watch(self, peer: DeviceId, now: float) -> None:
        """Gives `peer` a lease."""
        if not self._heard_at_s and self._look_at_s < now:
            # While there was nobody to look after nobody looked: that is no reason to bear more.
            self._look_at_s = now + self.rhythm.look_s
        self._heard_at_s[peer] = now
        self._silent.discard(peer)

    def forget(self, peer: DeviceId) -> None:
        """Ends the lease of `peer`."""
        self._heard_at_s.pop(peer, None)
        self._silent.discard(peer)

    def heard(self, peer: DeviceId, now: float) -> bool:
        """Renews the lease of a watched peer; tells whether it was silent."""
        if peer not in self._heard_at_s:
            return False
        self._heard_at_s[peer] = now
        if peer not in self._silent:
            return False
        self._silent.remove(peer)
        return True

    def spoke(self, now: float) -> None:
        """Puts the next pulse off."""
        if self._pulse_at_s < math.inf:
            self._pulse_at_s = now + self.rhythm.pulse_s

    def must_pulse(self, now: float) -> bool:
        """Tells whether a pulse is due."""
        return self._pulse_at_s <= now and bool(self._heard_at_s)

    def look(self, now: float) -> list[DeviceId]:
        """Returns the peers whose leases ran out since the last look, in order of name."""
        if now < self._look_at_s:
            return []
        late_s = now - self._look_at_s
        self._look_at_s = now + self.rhythm.look_s
        if late_s > self.rhythm.look_s:
            # We were kept from listening ourselves: what came meanwhile still waits for us.
            for peer in self._heard_at_s:
                self._heard_at_s[peer] += late_s
        gone = [
            peer
            for peer, heard_at_s in self._heard_at_s.items()
            if now - heard_at_s >= self.rhythm.lease_s and peer not in self._silent
        ]
        self._silent.update(gone)
        return sorted(gone)

    def deadline(self) -> float:
        """Returns when `look` or a pulse is due; infinity for never."""
        if not self._heard_at_s:
            return math.inf
        look_s, pulse_s = self._look_at_s, self._pulse_at_s
        return look_s if look_s < pulse_s else pulse_s
