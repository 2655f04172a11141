"""How long messages take on a modelled link: rates that queue, delay, jitter, and loss.

A message that TCP has to repeat is late, not lost; one that comes behind it waits for it. Only
an outage of the connection loses messages, and that is the transport's business.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right

from attrs import evolve, field, frozen, validators

_PACKET_BYTES = 1460
_MQTT_BYTES = 19
"""What MQTT adds to a topic and a payload at QoS 1, as `runtime.party` counts it."""
_RETRANSMISSION_S = 0.2
"""The shortest timeout of Linux; RFC 6298 asks for a second."""

Trace = tuple[tuple[float, float], ...]
"""(from_s, value): what holds from a time on until the next entry; times rise."""


def message_bytes(topic: str, payload: bytes) -> int:
    """Returns what a message takes on a link."""
    return len(topic) + len(payload) + _MQTT_BYTES


def value_at(trace: Trace, at_s: float, before: float) -> float:
    """Returns what holds at a time; `before` is what held before the first entry."""
    index = bisect_right(trace, at_s, key=lambda entry: entry[0])
    return trace[index - 1][1] if index else before


def _rising(_instance: object, _attribute: object, trace: Trace) -> None:
    times = [from_s for from_s, _ in trace]
    if times != sorted(set(times)) or not all(rate > 0 for _, rate in trace):
        raise ValueError("a trace needs times that rise and rates above zero")


@frozen
class Line:
    """One direction of a link. Rates are in bytes/s; without a trace there is no limit.

    `loss` is the share of packets that TCP sends again.
    """

    rates: Trace = field(default=(), validator=_rising)
    delay_s: float = field(default=0.0, validator=validators.ge(0.0))
    jitter_s: float = field(default=0.0, validator=validators.ge(0.0))
    loss: float = field(default=0.0, validator=[validators.ge(0.0), validators.lt(1.0)])

    def sent_at(self, begin_s: float, size_bytes: float) -> float:
        """Returns when the last of these bytes leaves, if the first does at `begin_s`."""
        if not self.rates:
            return begin_s
        index = max(0, bisect_right(self.rates, begin_s, key=lambda entry: entry[0]) - 1)
        for (_, rate), (change_s, _) in zip(
            self.rates[index:], (*self.rates[index + 1 :], (math.inf, 0.0)), strict=True
        ):
            if begin_s + size_bytes / rate <= change_s:
                return begin_s + size_bytes / rate
            size_bytes -= (change_s - begin_s) * rate
            begin_s = change_s
        raise AssertionError("the last rate of a trace holds for ever")

    def held_to(self, cap_bytes_per_s: float | None, times: float = 1.0) -> Line:
        """Returns a line at one of `times`-th of its rates, and never faster than the cap."""
        cap = math.inf if cap_bytes_per_s is None else cap_bytes_per_s
        rates = tuple((from_s, min(cap, rate / times)) for from_s, rate in self.rates)
        if not rates and cap_bytes_per_s is not None:
            rates = ((0.0, cap_bytes_per_s),)
        return evolve(self, rates=rates)


class Pipe:
    """Carries messages over a line, one after the other, in order."""

    def __init__(self, line: Line, seed: str = "") -> None:
        self._own = self._line = line
        self._random = random.Random(seed)
        self._free_at_s = 0.0
        self._latest_s = 0.0

    def carry(self, size_bytes: int, now: float) -> float:
        """Takes a message and returns when it arrives at the other end."""
        line = self._line
        self._free_at_s = line.sent_at(max(now, self._free_at_s), size_bytes)
        late_s = line.delay_s + line.jitter_s * self._random.random()
        packets = math.ceil(size_bytes / _PACKET_BYTES)
        if self._random.random() < 1 - (1 - line.loss) ** packets:
            late_s += _RETRANSMISSION_S + 2 * line.delay_s
        self._latest_s = max(self._latest_s, self._free_at_s + late_s)
        return self._latest_s

    def throttle(self, cap_bytes_per_s: float | None, times: float) -> None:
        """Holds its line to less, from the next message on."""
        self._line = self._own.held_to(cap_bytes_per_s, times)

    def clear(self, now: float) -> None:
        """Forgets what is under way: the connection is gone, and its queue with it."""
        self._free_at_s = self._latest_s = now


class Link:
    """Both directions of one party's connection to the broker, as that party sees them."""

    def __init__(self, up: Line, down: Line, seed: str = "") -> None:
        self.up = Pipe(up, f"{seed} up")
        self.down = Pipe(down, f"{seed} down")
        self.back_s = down.delay_s
        """How long the broker's acknowledgement takes; it is too short to queue."""

    def clear(self, now: float) -> None:
        """Forgets what is under way in both directions."""
        self.up.clear(now)
        self.down.clear(now)
