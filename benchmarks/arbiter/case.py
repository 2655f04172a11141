"""One question to a real link, and what it answered."""

from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from attrs import frozen

from benchmarks.arbiter.part import Part, Peer
from benchmarks.arbiter.party import Counts
from benchmarks.arbiter.sampler import Sample
from coordinator.broker import EmbeddedBroker
from coordinator.broker.embedded import Kind
from coordinator.rehearsal.crew import Child, Crew
from coordinator.rehearsal.link_proxy import LinkProxy
from runtime.broker_url import BrokerUrl
from runtime.ids import COORDINATOR, DeviceId
from runtime.wire import decode_json, encode_json

Way = Literal["up", "down"]
MBPS = 1e6 / 8
"""Bytes per second."""
SETTLING_S = 2.0
"""Windows start at 32 KiB, and on a slow link take this long to find its rate."""
_STALL_AT_S = 4.0
_STALL_S = 0.6
_PATIENCE_S = 60.0
_POLL_S = 0.05


@frozen
class Case:
    """Devices that are backlogged, or not, on a link that they share.

    `link_mbps` is what the proxy between coordinator and broker carries each way, `budget_mbps`
    what the coordinator keeps to by itself; None has no such bound.
    """

    way: Way
    peers: tuple[Peer, ...]
    link_mbps: float | None = None
    budget_mbps: float | None = None
    device_mbps: float | None = None
    """What every device keeps to by itself, in what it sends."""
    stalls: bool = False
    """Whether the link holds all bytes for a while, soon after the beginning."""

    @property
    def link_bytes_per_s(self) -> float:
        """Returns what all share: the rate of the link, or the budget where none is in between."""
        rate_mbps = self.budget_mbps if self.link_mbps is None else self.link_mbps
        assert rate_mbps is not None
        return rate_mbps * MBPS

    def parts(self, broker: str, via: str, seconds: float) -> list[Part]:
        """Returns what each process is told; `via` is the coordinator's way to the broker."""
        budget, own = _bytes_per_s(self.budget_mbps), _bytes_per_s(self.device_mbps)
        hub = Part(COORDINATOR, self.way, via, self.peers, seconds, budget, budget)
        return [
            hub,
            *(Part(one.name, self.way, broker, self.peers, seconds, own) for one in self.peers),
        ]


def measure(case: Case, broker: Kind, seconds: float) -> dict[DeviceId, float]:
    """Returns the chunk bytes per second of each busy device, while all of them were busy."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(EmbeddedBroker(broker, folder / "broker")).url
        via = stack.enter_context(_link(case, url))
        parts = case.parts(url, via, SETTLING_S + seconds)
        with _signals_kept(), Crew() as crew:
            hub, *_ = [_start(crew, part, folder) for part in parts]
            _await_end(hub, SETTLING_S + seconds)
        samples = [sample for part in parts for sample in _counted(part, folder)]
    return rates(samples, {peer.name for peer in case.peers if peer.busy}, seconds)


def rates(samples: Sequence[Sample], busy: set[DeviceId], seconds: float) -> dict[DeviceId, float]:
    """Returns bytes per second, counted from soon after the last device has come in."""
    firsts_s = [min(one.at_s for one in samples if one.device == name) for name in busy]
    begins_s = max(firsts_s) + SETTLING_S
    total = dict.fromkeys(sorted(busy), 0.0)
    for one in samples:
        if begins_s <= one.at_s < begins_s + seconds:
            total[one.device] += one.size_bytes / seconds
    return total


@contextlib.contextmanager
def _link(case: Case, broker: str) -> Iterator[str]:
    """Yields the coordinator's way to the broker."""
    rate = _bytes_per_s(case.link_mbps)
    if rate is None:
        yield broker
        return
    port = BrokerUrl.parse(broker).port
    with LinkProxy(port, up_bytes_per_s=rate, down_bytes_per_s=rate) as proxy:
        ends_s = (_STALL_AT_S, _STALL_AT_S + _STALL_S)
        timers = [
            threading.Timer(at_s, act)
            for at_s, act in zip(ends_s, (proxy.stall, proxy.resume), strict=True)
        ]
        for timer in timers if case.stalls else ():
            timer.start()
        yield proxy.via(broker)
        for timer in timers:
            timer.cancel()


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Undoes that a crew which is dismissed turns a deaf ear to Ctrl-C: cases are many."""
    kept = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _start(crew: Crew, part: Part, folder: Path) -> Child:
    told = folder / f"{part.name}.part.json"
    told.write_bytes(encode_json(part))
    command = [sys.executable, "-m", "benchmarks.arbiter.party", str(told)]
    counted = str(folder / f"{part.name}.json")
    return crew.start(part.name, [*command, counted], log=folder / f"{part.name}.log")


def _await_end(hub: Child, seconds: float) -> None:
    deadline_s = time.monotonic() + seconds + _PATIENCE_S
    while hub.code is None and time.monotonic() < deadline_s:
        time.sleep(_POLL_S)
    if hub.code != 0:
        raise SystemExit(f"the coordinator's side did not end well:\n{hub.log_tail()}")


def _counted(part: Part, folder: Path) -> tuple[Sample, ...]:
    return decode_json(Counts, (folder / f"{part.name}.json").read_bytes()).value.samples


def _bytes_per_s(rate_mbps: float | None) -> float | None:
    return None if rate_mbps is None else rate_mbps * MBPS
