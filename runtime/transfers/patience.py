"""How long to wait for an answer when the last attempts had none."""

from __future__ import annotations

_DOUBLINGS = 32


def backed_off_s(first_s: float, failures: int, longest_s: float) -> float:
    """Returns `first_s` doubled for every failure so far, at most `longest_s`.

    Failures may mount up for days: beyond 32 doublings they no longer count, since a float
    holds only a thousand.
    """
    if not failures:
        return min(longest_s, first_s)
    return min(longest_s, first_s * 2.0 ** min(failures, _DOUBLINGS))
