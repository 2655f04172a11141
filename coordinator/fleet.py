"""The fleet file: which devices take part, where each is cut, how each is emulated and tried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from attrs import field, frozen
from attrs.validators import optional

from coordinator.timeline import Incident
from runtime.config_rules import Rejected, above, at_least, data_source, legal_id, not_empty
from runtime.config_walk import FOLDER, Fault
from runtime.dataset import Augmentation
from runtime.emulation_spec import Emulation
from runtime.ids import DeviceId

PartitionKind = Literal["iid", "dirichlet"]

LEAST_ALPHA = 0.01
"""Below it the draws of a Dirichlet distribution underflow."""


@frozen
class CutFrom:
    """The cut of a device from `round` (the first is 1) until the next entry."""

    round: int = field(validator=at_least(1))
    cut: str = field(validator=not_empty)


@frozen
class Device:
    """[[device]]: one board. `batch` (samples) and `data` override the job and [data].

    `cut`, or `cuts` by round, is for the planner `fixed`; the others choose by themselves.
    `board` names a card; an emulation takes from it what `emulate` does not say. `network` picks
    one of the card's links.
    """

    id: str = field(validator=legal_id)
    board: str | None = field(default=None, validator=optional(not_empty))
    network: Literal["ethernet", "wifi"] | None = None
    cut: str | None = field(default=None, validator=optional(not_empty))
    cuts: tuple[CutFrom, ...] = ()
    batch: int | None = field(default=None, validator=optional(at_least(1)))
    data: str | None = field(default=None, validator=optional(data_source))
    augment: tuple[Augmentation, ...] = ()
    emulate: Emulation = field(factory=Emulation)

    @property
    def has_link(self) -> bool:
        """Tells whether the file, or the card of its board, says how fast its link is."""
        own = self.emulate
        return self.board is not None or (own.uplink_mbps or own.downlink_mbps) is not None

    def cut_at(self, round: int) -> str:
        """Returns the name of the cut in `round`, which counts from 1, of a device that has one."""
        if self.cut is not None:
            return self.cut
        return [one.cut for one in self.cuts if one.round <= round][-1]

    def faults(self) -> Iterator[Fault]:
        """Yields what is wrong with the list of cuts."""
        if self.cut is not None and self.cuts:
            yield Fault("cuts", "cut already says where the device is cut", "keep one of them")
        if self.cuts and self.cuts[0].round != 1:
            yield Fault("cuts[0].round", "the rounds before it have no cut", "write 1")
        for index, (before, after) in enumerate(pairwise(self.cuts), start=1):
            if after.round <= before.round:
                fix = f"write more than {before.round}"
                yield Fault(f"cuts[{index}].round", "the rounds do not rise", fix)


@frozen
class FleetName:
    """[fleet]."""

    name: str = field(validator=legal_id)


@frozen
class Data:
    """[data]: one data set that a rehearsal deals out to the devices.

    `alpha` is the concentration of the Dirichlet partition: the smaller, the more the classes
    differ between devices.
    """

    source: str = field(validator=data_source)
    partition: PartitionKind = "iid"
    alpha: float | None = field(default=None, validator=optional(at_least(LEAST_ALPHA)))
    seed: int = field(default=0, validator=at_least(0))
    minimum_samples: int = field(default=1, validator=at_least(1))

    def faults(self) -> Iterator[Fault]:
        """Yields an alpha that is missing or has nothing to do."""
        if self.partition == "dirichlet" and self.alpha is None:
            yield Fault("alpha", "it is missing", "add alpha, 0.5 for instance")
        if self.partition == "iid" and self.alpha is not None:
            yield Fault("alpha", "an iid partition has none", "remove it")


@frozen
class SharedLink:
    """[shared]: the link between broker and coordinator that rehearsals and simulations emulate.

    Rates are what all devices together can send and receive, in 1e6 bits a second; None has no
    limit. `delay_ms` is one way.
    """

    uplink_mbps: float | None = field(default=None, validator=optional(above(0)))
    downlink_mbps: float | None = field(default=None, validator=optional(above(0)))
    delay_ms: float = field(default=0.0, validator=at_least(0))


def _distinct_ids(_instance: Any, _attribute: Any, devices: tuple[Device, ...]) -> None:
    counts = Counter(device.id for device in devices)
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated:
        names = ", ".join(repr(name) for name in repeated)
        raise Rejected(f"more than one device is called {names}", "give each an id of its own")


@frozen
class Fleet:
    """A whole fleet file. Relative paths in it start at `base`, the folder it lies in."""

    fleet: FleetName
    devices: tuple[Device, ...] = field(alias="device", validator=[not_empty, _distinct_ids])
    data: Data | None = None
    shared: SharedLink = field(factory=SharedLink)
    timeline: tuple[Incident, ...] = ()
    base: Path = field(factory=Path, metadata=FOLDER)

    def faults(self) -> Iterator[Fault]:
        """Yields incidents that nobody in the fleet can have."""
        devices = {device.id: device for device in self.devices}
        for number, one in enumerate(self.timeline):
            key = f"timeline[{number}]"
            if one.device is None:
                continue
            if one.device not in devices:
                message = f"fleet {self.name} has no {one.device!r}"
                yield Fault(f"{key}.device", message, "write the id of a device above")
            elif one.do == "throttle" and one.times and not devices[one.device].has_link:
                message = f"nothing says how fast the link of {one.device} is"
                yield Fault(f"{key}.times", message, "write uplink_mbps or downlink_mbps")

    @property
    def name(self) -> str:
        """The name of the fleet, a level of every topic."""
        return self.fleet.name

    @property
    def ids(self) -> tuple[DeviceId, ...]:
        """The devices in the order of the file."""
        return tuple(DeviceId(device.id) for device in self.devices)

    def device(self, device_id: str) -> Device:
        """Returns the device of that id. Raises KeyError for one that is not in the fleet."""
        return self._by_id[device_id]

    @cached_property
    def _by_id(self) -> Mapping[str, Device]:
        return {device.id: device for device in self.devices}

    def cut_at(self, device_id: str, round: int) -> str:
        """Returns the device's cut in `round` (from 1). Raises KeyError as `device` does."""
        return self.device(device_id).cut_at(round)
