"""What a planner is asked: every device's options, and what the devices share.

The time of a device's round is the paper's (arXiv 2403.15815) with both directions apart:

    state/down + local_steps * (forward + up_bytes/up + server + down_bytes/down + backward)
    + state/up

where `up` and `down` are the device's static shares of the links. Bandwidth is in bytes/s.
"""

from __future__ import annotations

import math
from typing import Any

from attrs import Attribute, field, frozen
from attrs.validators import ge, optional

from runtime.ids import DeviceId
from runtime.program import Codec
from runtime.value import value


def _rate(instance: Any, attribute: Attribute[float], value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError(f"{attribute.name} is {value}, which no link carries")


@value
class Option:
    """One way for a device to take part: a cut with its codecs, and what that costs.

    Times and `up_bytes`/`down_bytes` are of one local step; `state_bytes` is the layer state of
    the device part, which travels down when a round starts and up when it ends. `server_s` is
    the server's work for this device alone. An option that sends nothing in a step trains the
    whole model on the device.

    `up_wait_s` and `down_wait_s` are parts of `forward_s` and `backward_s`: what letters wait for
    before they flow, which no rate of a link can shorten.
    """

    cut: str
    codec_up: Codec
    codec_down: Codec
    forward_s: float
    backward_s: float
    server_s: float
    up_bytes: float
    down_bytes: float
    state_bytes: float
    device_memory_bytes: float
    replica_memory_bytes: float
    up_wait_s: float = 0.0
    down_wait_s: float = 0.0

    @property
    def is_whole_model(self) -> bool:
        """Tells whether the device trains without the server."""
        return self.up_bytes == 0 and self.down_bytes == 0


@frozen
class DeviceProblem:
    """A device, its memory, the rates of its own link, and its legal options.

    `options` already respect the job's minimum cut and its codec floor by depth; whether they
    fit into the device's memory is checked by the planners.
    """

    id: DeviceId
    options: tuple[Option, ...]
    uplink_bytes_per_s: float = field(validator=_rate)
    downlink_bytes_per_s: float = field(validator=_rate)
    memory_bytes: float = field(default=math.inf, validator=ge(0))


@frozen
class Problem:
    """A round to plan. None is an unlimited budget or memory.

    `server_workers` run the server segments of all devices, one step at a time each.
    """

    devices: tuple[DeviceProblem, ...]
    local_steps: int = field(validator=ge(1))
    uplink_bytes_per_s: float | None = field(default=None, validator=optional(_rate))
    downlink_bytes_per_s: float | None = field(default=None, validator=optional(_rate))
    server_workers: int = field(default=1, validator=ge(1))
    server_memory_bytes: float | None = field(default=None, validator=optional(ge(0)))


@value
class Rates:
    """A device's static shares of the links, in bytes/s. Zero where nothing is sent."""

    up_bytes_per_s: float
    down_bytes_per_s: float


@value
class RoundTerms:
    """Where the time of a device's round goes, in seconds, in the order it is spent.

    The five middle terms are sums over the local steps.
    """

    state_down_s: float
    forward_s: float
    upload_s: float
    server_s: float
    download_s: float
    backward_s: float
    state_up_s: float

    @property
    def total_s(self) -> float:
        """The whole round of the device."""
        return (
            self.state_down_s
            + self.forward_s
            + self.upload_s
            + self.server_s
            + self.download_s
            + self.backward_s
            + self.state_up_s
        )


def fair_rates(problem: Problem, device: DeviceProblem) -> Rates:
    """Returns what a device has when all send at once, each as much."""
    count = len(problem.devices)
    up = (problem.uplink_bytes_per_s or math.inf) / count
    down = (problem.downlink_bytes_per_s or math.inf) / count
    return Rates(min(device.uplink_bytes_per_s, up), min(device.downlink_bytes_per_s, down))


def terms(option: Option, rates: Rates, local_steps: int) -> RoundTerms:
    """Returns the time of a device's round by terms."""
    return RoundTerms(
        state_down_s=_transfer_s(option.state_bytes, rates.down_bytes_per_s),
        forward_s=local_steps * option.forward_s,
        upload_s=_transfer_s(local_steps * option.up_bytes, rates.up_bytes_per_s),
        server_s=local_steps * option.server_s,
        download_s=_transfer_s(local_steps * option.down_bytes, rates.down_bytes_per_s),
        backward_s=local_steps * option.backward_s,
        state_up_s=_transfer_s(option.state_bytes, rates.up_bytes_per_s),
    )


def _transfer_s(size_bytes: float, rate_bytes_per_s: float) -> float:
    if size_bytes == 0:
        return 0.0
    return size_bytes / rate_bytes_per_s if rate_bytes_per_s > 0 else math.inf
