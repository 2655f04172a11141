"""What is promised of a shared link, and whether figures keep it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from statistics import median
from typing import Literal

import attrs
from attrs import frozen

from benchmarks.arbiter.case import MBPS, Case, Way
from benchmarks.arbiter.part import Peer
from runtime.ids import DeviceId

Rates = Mapping[DeviceId, float]
"""Bytes per second of each busy device."""
Promise = Literal["shares", "lending", "caps"]
PROMISES: tuple[Promise, ...] = ("shares", "lending", "caps")
TOLERANCE = 0.10
WEIGHTS = (1.0, 3.0, 9.0)
FIRST, SECOND = DeviceId("board-a"), DeviceId("board-b")
WAYS: tuple[Way, ...] = ("up", "down")
_CAPPED = 0.25
"""The part of the link that a capped device may use."""
_PACED = 0.95
"""A link carries headers too, and whatever a stall has left in its queue has to drain."""


@frozen
class Question:
    """A promise put to a case. `cap_bytes_per_s` is what the first device is held to, if any."""

    promise: Promise
    case: Case
    told: str
    cap_bytes_per_s: float | None = None

    def figure(self, rates: Rates) -> float:
        """Returns what the promise is about.

        Of shares the largest relative distance from the weights, of lending the part of the link
        that is used, of caps the rate in parts of the cap.
        """
        total = sum(rates.values())
        if self.cap_bytes_per_s is not None:
            return rates[FIRST] / self.cap_bytes_per_s
        if self.promise == "lending":
            return total / self.case.link_bytes_per_s
        weights = {peer.name: peer.weight for peer in self.case.peers}
        share = total / sum(weights.values())
        return max(abs(rates[name] / (weights[name] * share) - 1) for name in rates)

    def keeps(self, figure: float) -> bool:
        """Tells whether a figure is what was promised."""
        match self.promise:
            case "shares":
                return figure <= TOLERANCE
            case "lending":
                return figure >= 1 - TOLERANCE
            case "caps":
                return abs(figure - 1) <= TOLERANCE

    def row(self, runs: Iterable[Rates]) -> tuple[str, bool]:
        """Returns a line of the table for the medians of some runs, and whether all is well."""
        runs = tuple(runs)
        figures = sorted(self.figure(rates) for rates in runs)
        middle, kept = median(figures), self.keeps(median(figures))
        kb_per_s = [f"{median(run[name] for run in runs) / 1e3:.0f}" for name in runs[0]]
        cells = [
            self.promise,
            self.case.way,
            f"{8e-6 * self.case.link_bytes_per_s:.0f}",
            self.told,
            " + ".join(kb_per_s),
            _percent(middle),
            f"{_percent(figures[0])} to {_percent(figures[-1])}",
            "yes" if kept else "**no**",
        ]
        return f"| {' | '.join(cells)} |", kept


HEADING = (
    "| promise | way | Mbit/s | told | kB/s | figure | of the runs | kept |\n"
    "|---|---|---|---|---|---|---|---|"
)


def questions(promises: Iterable[str], links_mbps: Iterable[float]) -> list[Question]:
    """Returns all questions, promise after promise."""
    links_mbps = tuple(links_mbps)
    asked = {"shares": _shares, "lending": _lending, "caps": _caps}
    return [
        question
        for promise in promises
        for way, link_mbps in product(WAYS, links_mbps)
        for question in asked[promise](way, link_mbps)
    ]


def _shares(way: Way, link_mbps: float) -> list[Question]:
    asked = [
        Question("shares", case, f"1:{weight:.0f}, {how}")
        for weight in WEIGHTS
        for how, case in _links(way, link_mbps, (Peer(FIRST), Peer(SECOND, weight)))
    ]
    paced = [one for one in asked[-3:] if one.case.budget_mbps is not None]
    return asked + [
        attrs.evolve(one, case=attrs.evolve(one.case, stalls=True), told=f"{one.told}, stalls")
        for one in paced
    ]


def _lending(way: Way, link_mbps: float) -> list[Question]:
    peers = (Peer(FIRST), Peer(SECOND, WEIGHTS[-1], busy=False))
    return [
        Question("lending", case, f"1:{WEIGHTS[-1]:.0f}, the second is idle, {how}")
        for how, case in _links(way, link_mbps, peers)
    ]


def _links(way: Way, link_mbps: float, peers: tuple[Peer, ...]) -> list[tuple[str, Case]]:
    """Returns the link of which nobody told the coordinator, and those that it paces."""
    return [
        ("rate unknown", Case(way, peers, link_mbps)),
        ("paced at its rate", Case(way, peers, link_mbps, budget_mbps=link_mbps)),
        ("paced 5 % below", Case(way, peers, link_mbps, budget_mbps=_PACED * link_mbps)),
    ]


def _caps(way: Way, link_mbps: float) -> list[Question]:
    cap = _CAPPED * link_mbps * MBPS
    alone, both = (Peer(FIRST),), (Peer(FIRST), Peer(SECOND))
    capped = (Peer(FIRST, cap_bytes_per_s=cap), Peer(SECOND))
    asked = [
        Question("caps", Case(way, capped, link_mbps), "a device's cap, beside another", cap),
        Question(
            "caps",
            Case(way, alone, budget_mbps=link_mbps),
            "the coordinator's limit",
            link_mbps * MBPS,
        ),
    ]
    if way == "up":
        own = Case(way, both, link_mbps, device_mbps=_CAPPED * link_mbps)
        asked.append(Question("caps", own, "devices' own limits", cap))
    return asked


def _percent(part: float) -> str:
    return f"{100 * part:.1f} %"
