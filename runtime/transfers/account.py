"""What one peer counts for in the credit of a connection."""

from __future__ import annotations

from attrs import define, field

from runtime.transfers.link_rate import LinkRate
from runtime.transfers.trip import Trip

_SAMPLE_S = 0.25
"""Long enough for the bursts in which chunks come."""


def _rate() -> LinkRate:
    return LinkRate(sample_s=_SAMPLE_S)


@define
class Account:
    """As far as the connection has been charged for a peer, and what it reaches."""

    granted_bytes: int = 0
    answering_bytes: int = 0
    """The part of them that a peer is still expected to send soon."""
    open_weight: float = 0.0
    open_bytes_per_s: float = 0.0
    """Both zero unless a letter is on its way from a peer that answers."""
    rate: LinkRate = field(factory=_rate)
    trip: Trip = field(factory=Trip)
    """From a range that is asked for while nobody else is expected to send."""
